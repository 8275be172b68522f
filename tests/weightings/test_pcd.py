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


def test_constraints_that_cannot_hold_together_are_dropped():
    rows = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    weights = make("pcd", 3).weigh(rows @ rows.T, positive_losses(3), torch.arange(3))
    assert torch.allclose(weights @ rows, rows[0])
