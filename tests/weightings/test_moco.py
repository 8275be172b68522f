import numpy as np
import pytest
import torch

from tests.weightings._asserts import assert_close
from tests.weightings._inputs import jacobian, make, positive_losses


def onto_simplex(point):
    """The nearest point of the simplex, by bisection on the amount taken off."""
    low, high = point.min() - 1.0, point.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(point - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(point - low, 0)


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize(("gamma", "rho"), [(0.1, 0.0), (5.0, 0.2)])
def test_equals_algorithm_1_over_steps(num_tasks, gamma, rho):
    weighting = make("moco", num_tasks, beta_sigma=0.5, gamma=gamma, rho=rho)
    tracked, weights = np.zeros((num_tasks, 30)), np.full(num_tasks, 1 / num_tasks)
    for step in range(1, 6):
        rows = jacobian(num_tasks, step, spread=3)
        tracked -= 0.5 / step**0.5 * (tracked - rows.numpy())
        gram = tracked @ tracked.T
        gram /= gram.diagonal().max()
        weights = onto_simplex(weights - gamma / step**0.5 * (gram + rho * np.eye(num_tasks)) @ weights)
        got = weighting(rows, positive_losses(num_tasks), torch.arange(num_tasks))
        assert_close(got, torch.from_numpy(weights @ tracked), 1e-5)
