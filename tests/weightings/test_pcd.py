import numpy as np
import pytest
import torch
from qpsolvers import solve_qp

from tests.weightings._asserts import assert_close
from tests.weightings._inputs import jacobian, make, positive_losses, task_names


def constrained(rows, scales, tau, primary):
    """min ½‖d − g̃₁‖² with g̃ⱼᵀd ≥ tau‖g̃ⱼ‖², over d itself, rescaled to the norm of g₁."""
    units = rows * scales[:, None]
    others = np.delete(units, primary, axis=0)
    bound = tau * (others**2).sum(axis=1)
    d = solve_qp(np.eye(rows.shape[1]), -units[primary], -others, -bound, solver="quadprog")
    return torch.from_numpy(d * np.linalg.norm(rows[primary]) / np.linalg.norm(d))


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("tau", [0.0, 0.02, 0.5])
def test_equals_the_quadratic_program_over_steps(num_tasks, tau):
    primary = num_tasks // 2
    weighting = make("pcd", num_tasks, tau=tau, beta=0.9, primary=task_names(num_tasks)[primary])
    average = np.zeros(num_tasks)
    for step in range(1, 5):
        rows = jacobian(num_tasks, step, spread=10)
        average = 0.9 * average + 0.1 * (rows**2).sum(dim=1).numpy()
        means = average / (1 - 0.9**step)
        wanted = constrained(rows.numpy(), 1 / np.sqrt(means + 1e-8 * means.max()), tau, primary)
        weights = weighting.weigh(rows @ rows.T, positive_losses(num_tasks), torch.arange(num_tasks))
        assert_close(weights @ rows, wanted, 1e-4)


def dependent(case):
    """Rows of a primary and of other tasks that span fewer dimensions than they are, and a tau."""
    draws = np.random.default_rng(case)
    size, width = draws.integers(3, 8), draws.integers(3, 12)
    others = draws.normal(size=(size - 1, width))
    independent = draws.integers(1, size - 1)
    others[independent:] = draws.normal(size=(size - 1 - independent, independent)) @ others[:independent]
    others *= 10 ** draws.uniform(-1, 1, size=(size - 1, 1))
    return np.vstack([draws.normal(size=(1, width)), others]), draws.choice([0.0, 0.02, 0.5, 1.0])


@pytest.mark.parametrize("part", range(5))
def test_dependent_gradients_of_the_other_tasks_give_the_direction_that_cvxpy_finds(part):
    cvxpy, solved, contradicting = pytest.importorskip("cvxpy"), 0, 0
    for case in range(30 * part, 30 * part + 30):
        rows, tau = dependent(case)
        norms = np.linalg.norm(rows, axis=1)
        d = cvxpy.Variable(rows.shape[1])  # at beta = 0 all rows are units
        units = rows / norms[:, None]
        problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(d - units[0])), [units[1:] @ d >= tau])
        problem.solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
        wanted = units[0] if d.value is None else d.value
        contradicting += d.value is None
        given = torch.from_numpy(rows).float().double()
        weighting = make("pcd", len(rows), tau=float(tau), beta=0.0, eps=0.0)
        weights = weighting.weigh(given @ given.T, positive_losses(len(rows)), torch.arange(len(rows)))
        if np.linalg.norm(wanted) < 1e-4:
            continue
        solved += 1
        assert_close(weights @ given / norms[0], torch.from_numpy(wanted / np.linalg.norm(wanted)), 1e-4)
    assert solved >= 20
    assert contradicting >= 3


def test_constraints_that_cannot_hold_together_are_dropped():
    rows = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    weights = make("pcd", 3).weigh(rows @ rows.T, positive_losses(3), torch.arange(3))
    assert torch.allclose(weights @ rows, rows[0])
