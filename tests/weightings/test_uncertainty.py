import numpy as np
import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_formula_and_learns_its_optimum(num_tasks):
    weighting, losses = make("uncertainty", num_tasks), positive_losses(num_tasks)
    s = np.linspace(-1, 1, num_tasks)
    weighting.log_variances.data.copy_(torch.from_numpy(s))
    total = weighting(losses, torch.arange(num_tasks))
    wanted = sum(0.5 * np.exp(-a) * b + 0.5 * a for a, b in zip(s, losses.numpy(), strict=True))
    assert abs(total.item() - wanted) < 1e-6
    weighting.log_variances.data.copy_(losses.log())  # where the gradient vanishes
    weighting(losses, torch.arange(num_tasks)).backward()
    weighting.log_variances.grad = None
    weighting(losses, torch.arange(num_tasks)).backward()
    assert weighting.log_variances.grad.abs().max() < 1e-6
