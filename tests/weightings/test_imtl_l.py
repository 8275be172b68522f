import numpy as np
import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_formula_and_learns_scaled_losses_of_one(num_tasks):
    weighting, losses = make("imtl_l", num_tasks), positive_losses(num_tasks)
    s = np.linspace(-1, 1, num_tasks)
    weighting.log_scales.data.copy_(torch.from_numpy(s))
    total = weighting(losses, torch.arange(num_tasks))
    wanted = sum(np.exp(a) * b - a for a, b in zip(s, losses.numpy(), strict=True))
    assert abs(total.item() - wanted) < 1e-5
    weighting.log_scales.data.copy_(-losses.log())
    weighting.log_scales.grad = None
    weighting(losses, torch.arange(num_tasks)).backward()
    assert weighting.log_scales.grad.abs().max() < 1e-6
