import pytest
import torch

from tests.weightings._asserts import assert_close
from tests.weightings._inputs import jacobian, make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("leak", [0.0, 0.3, 1.0])
def test_equals_the_loop_over_coordinates(num_tasks, leak):
    rows = jacobian(num_tasks)
    weighting = make("graddrop", num_tasks, leak=leak)
    draws = torch.rand(rows.shape[1], generator=weighting.stream())
    wanted = torch.zeros_like(rows[0])
    for column in range(rows.shape[1]):
        values = rows[:, column]
        purity = 0.5 * (1 + values.sum() / values.abs().sum())
        for value in values:
            mask = float(purity > draws[column]) * float(value > 0) + float(purity < draws[column]) * float(value < 0)
            wanted[column] += (leak + (1 - leak) * mask) * value
    assert_close(weighting(rows, positive_losses(num_tasks), torch.arange(num_tasks)), wanted, 1e-9)


def test_where_gradients_agree_nothing_is_dropped():
    rows = jacobian(5).abs()
    assert_close(make("graddrop", 5)(rows, positive_losses(5), torch.arange(5)), rows.sum(dim=0), 1e-12)


def test_longer_rows_than_a_chunk_are_drawn_the_same():
    rows = torch.randn(2, 200_000, dtype=torch.float64)
    weighting = make("graddrop", 2)
    update = weighting(rows, positive_losses(2), torch.arange(2))
    draws = torch.rand(rows.shape[1], generator=weighting.stream())
    positive = 0.5 * (1 + rows.sum(dim=0) / rows.abs().sum(dim=0)) > draws
    assert torch.equal(update, torch.where(positive, rows.clamp(min=0), rows.clamp(max=0)).sum(dim=0))
