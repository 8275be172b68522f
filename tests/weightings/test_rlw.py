import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_softmax_of_its_draws(num_tasks):
    weighting, losses = make("rlw", num_tasks), positive_losses(num_tasks)
    draws = weighting.by_name(torch.randn(num_tasks, generator=weighting.stream())).double()
    wanted = (draws.exp() / draws.exp().sum() * losses).sum()
    assert torch.allclose(weighting(losses, torch.arange(num_tasks)), wanted, rtol=1e-6)


def test_weights_are_new_in_every_step_and_the_same_within_one():
    weighting, losses = make("rlw", 5), positive_losses(5)
    totals = []
    for index in (0, 0, 1):
        weighting.at = (0, index)
        totals.append(weighting(losses, torch.arange(5)))
    assert totals[0] == totals[1] != totals[2]
