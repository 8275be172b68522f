import sys

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import jacobian, make


def conflict_averse(rows, c):
    """Algorithm 1: g₀ + √φ · g_w / ‖g_w‖ for the w on the simplex that minimises g_wᵀg₀ + √φ‖g_w‖."""
    mean = rows.mean(axis=0)
    radius = c * np.linalg.norm(mean)

    def cost(w):
        return (w @ rows) @ mean + radius * np.linalg.norm(w @ rows)

    def slope(w):
        g = w @ rows
        return rows @ mean + radius * (rows @ g) / np.linalg.norm(g)

    start = np.full(len(rows), 1 / len(rows))
    options = {"ftol": 1e-15, "maxiter": 1000}
    constraint = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}
    w = minimize(cost, start, jac=slope, bounds=[(0, 1)] * len(rows), constraints=constraint, options=options).x
    g = w @ rows
    return torch.from_numpy(mean + radius * g / np.linalg.norm(g))


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("c", [0.2, 0.4, 0.9])
def test_equals_the_dual_problem_in_the_gradients(num_tasks, c):
    rows = jacobian(num_tasks, 1, width=20)
    for scale in (1e-8, 1.0, 1e8):
        got = update_of(make("cagrad", num_tasks, c=c), rows * scale)
        assert_close(got, conflict_averse(rows.numpy(), c) * scale, 1e-4)


def test_without_a_radius_it_is_the_mean():
    rows = jacobian(5)
    assert_close(update_of(make("cagrad", 5, c=0.0), rows), rows.mean(dim=0), 1e-9)


def test_a_missing_solver_is_named_before_training(monkeypatch):
    import torchjd._mixins

    monkeypatch.setattr(torchjd._mixins, "find_spec", lambda name: None if name == "cvxpy" else sys)
    with pytest.raises(ValueError, match=r"weighting=cagrad needs .*pip install 'mtl-cli\[solvers\]'"):
        make("cagrad", 2)
