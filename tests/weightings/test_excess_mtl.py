import pytest
import torch

from tests.weightings._asserts import assert_close
from tests.weightings._inputs import jacobian, make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("rate", [0.01, 1.0])
def test_equals_exponentiated_gradient_ascent_over_steps(num_tasks, rate):
    weighting = make("excess_mtl", num_tasks, robust_step_size=rate)
    squares = torch.zeros(num_tasks, 30, dtype=torch.float64)
    weights, first = torch.full((num_tasks,), 1 / num_tasks, dtype=torch.float64), None
    for step in range(5):
        rows = jacobian(num_tasks, step, spread=10)
        squares += rows**2
        risks = (rows**2 / (squares + 1e-7).sqrt()).sum(dim=1)
        first = risks if first is None else first
        weights = weights * torch.exp(rate * risks / (first + 1e-7))
        weights /= weights.sum()
        assert_close(weighting(rows, positive_losses(num_tasks), torch.arange(num_tasks)), weights @ rows, 1e-5)


def test_tasks_that_are_absent_keep_their_part():
    weighting = make("excess_mtl", 4, robust_step_size=1.0)
    weighting(jacobian(4), positive_losses(4), torch.arange(4))
    before = weighting.log_weights.exp()
    weighting(jacobian(4, 1)[:2], positive_losses(2), torch.arange(2))
    after = weighting.log_weights.exp()
    assert torch.allclose(after[:2].sum(), before[:2].sum())
    assert torch.equal(after[2:], before[2:])
