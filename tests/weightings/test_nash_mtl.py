import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import jacobian, make


def fair_weights(rows, power):
    """Solve (Gα)ᵢ = αᵢ^−power for logarithms of α by non-linear least squares; G has largest diagonal entry 1."""
    gram = rows @ rows.T
    gram = gram / gram.diagonal().max()

    def residual(logs):
        return logs * power + np.log(np.maximum(gram @ np.exp(logs), 1e-12))

    start = -np.log(gram.diagonal()) / (1 + power)
    found = least_squares(residual, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=5000)
    assert found.cost < 1e-12
    return torch.from_numpy(np.exp(found.x))


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_solves_the_bargaining_equation(num_tasks, spread):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, spread=spread)
        wanted = fair_weights(rows.numpy(), 1.0) @ rows
        assert_close(update_of(make("nash_mtl", num_tasks), rows), wanted, 1e-4)


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_the_update_does_not_depend_on_the_scale_of_a_task(num_tasks):
    rows = jacobian(num_tasks, 5)
    scales = torch.logspace(-4, 0, num_tasks, dtype=torch.float64)[:, None]
    one, other = update_of(make("nash_mtl", num_tasks), rows), update_of(make("nash_mtl", num_tasks), rows * scales)
    assert_close(other / other.norm(), one / one.norm(), 1e-5)


def test_orthogonal_gradients_get_equal_progress():
    rows = torch.diag(torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64))
    assert_close(update_of(make("nash_mtl", 3), rows), torch.ones(3, dtype=torch.float64), 1e-6)
