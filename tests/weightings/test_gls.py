import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_root_of_the_product(num_tasks):
    losses = positive_losses(num_tasks)
    total = make("gls", num_tasks)(losses, torch.arange(num_tasks))
    assert torch.allclose(total, losses.prod() ** (1 / num_tasks), rtol=1e-9)
