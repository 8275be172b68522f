import itertools

import numpy as np
import pytest
import torch

from mtl_cli.weightings.go4align import group_means
from tests.weightings._inputs import make, positive_losses


def best_means(values, num_groups):
    """The means of the groups with the least sum of squares, of all ways to group numbers."""
    best, found = np.inf, None
    for groups in itertools.product(range(num_groups), repeat=len(values)):
        groups = np.array(groups)
        if len(set(groups)) == num_groups:
            means = np.array([values[groups == group].mean() for group in groups])
            if ((values - means) ** 2).sum() < best:
                best, found = ((values - means) ** 2).sum(), means
    return found


@pytest.mark.parametrize("num_groups", [1, 2, 3, 4])
@pytest.mark.parametrize("num_values", [4, 7])
def test_groups_are_the_best_of_all(num_groups, num_values):
    for seed in range(5):
        values = positive_losses(num_values, seed) ** 4
        wanted = best_means(values.numpy(), num_groups)
        assert np.allclose(group_means(values.float(), num_groups).numpy(), wanted, rtol=1e-5)


def test_groups_survive_values_of_any_scale():
    values = torch.tensor([1e-30, 1.0, 1.1, 1e25])
    assert torch.allclose(group_means(values, 2), torch.tensor([0.7, 0.7, 0.7, 1e25]))


@pytest.mark.parametrize("num_tasks", [2, 5])
@pytest.mark.parametrize("num_groups", [1, 2])
def test_weights_equal_the_formula_over_steps(num_tasks, num_groups):
    weighting, present = (
        make("go4align", num_tasks, num_groups=num_groups, robust_step_size=0.3),
        torch.arange(num_tasks),
    )
    p = np.full(num_tasks, 1 / num_tasks)
    for step in range(5):
        losses = positive_losses(num_tasks, step)
        values = losses.numpy()
        p = p * np.exp(-0.3 * values)
        p /= p.sum()
        weights = best_means(values.sum() / values * p, num_groups)
        leaf = losses.float().requires_grad_()
        (grad,) = torch.autograd.grad(weighting(leaf, present), leaf)
        assert np.allclose(grad.numpy(), weights, rtol=1e-4)
        weighting.observe(losses.float(), present)
        assert np.allclose(weighting.indicators.numpy(), p, rtol=1e-5)


def test_more_groups_than_tasks_are_a_group_of_its_own_for_each():
    losses = positive_losses(3).float()
    few, many = make("go4align", 3, num_groups=3), make("go4align", 3, num_groups=50)
    assert torch.equal(few(losses, torch.arange(3)), many(losses, torch.arange(3)))
