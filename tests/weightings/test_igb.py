import numpy as np
import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("base_epoch", [0, 1, 2])
def test_weights_follow_the_gap_to_the_base_epoch(num_tasks, base_epoch):
    weighting, present = make("igb", num_tasks, base_epoch=base_epoch), torch.arange(num_tasks)
    base = None
    for epoch in range(4):
        seen = [positive_losses(num_tasks, 10 * epoch + step) for step in range(3)]
        for losses in seen:
            weights = np.ones(num_tasks)
            if base is not None:
                rates = np.exp(losses.numpy() / base)
                weights = num_tasks * rates / rates.sum()
            leaf = losses.clone().requires_grad_()
            total = weighting(leaf, present)
            assert abs(total.item() - weights @ np.log(losses.numpy())) < 1e-5
            (grad,) = torch.autograd.grad(total, leaf)
            assert np.allclose(grad.numpy(), weights / losses.numpy(), rtol=1e-5)
            weighting.observe(losses, present)
        weighting.after_epoch()
        if epoch == base_epoch:
            base = torch.stack(seen).mean(dim=0).numpy()


def test_a_task_that_was_absent_from_the_base_epoch_counts_as_not_improved():
    weighting = make("igb", 3, base_epoch=0)
    weighting.observe(torch.tensor([2.0, 4.0]), torch.tensor([0, 1]))
    weighting.after_epoch()
    losses = torch.tensor([2.0, 4.0, 9.0])  # all gaps are 1, so all weights are
    assert torch.allclose(weighting(losses, torch.arange(3)), losses.log().sum())
