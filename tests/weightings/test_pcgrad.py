import pytest
import torch

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import jacobian, make


def surgery(rows, orders):
    """Algorithm 1 on the gradients themselves."""
    total = torch.zeros_like(rows[0])
    for row, order in zip(rows, orders, strict=True):
        projected = row.clone()
        for other in order:
            product = projected @ rows[other]
            if product < 0:
                projected -= product / rows[other].square().sum() * rows[other]
        total += projected
    return total


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_surgery_on_the_gradients(num_tasks):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, width=5, spread=100)
        weighting = make("pcgrad", num_tasks)
        wanted = surgery(rows, weighting.random_orders(torch.arange(num_tasks)))
        assert_close(update_of(weighting, rows), wanted, 1e-9)


def test_two_conflicting_tasks_get_projected():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    wanted = torch.tensor([0.5, 0.5]) + torch.tensor([0.0, 1.0])  # each without its part along the other
    assert torch.allclose(update_of(make("pcgrad", 2), rows), wanted.double())


def test_orders_differ_by_step_and_task_but_not_by_rank():
    weighting, other = make("pcgrad", 12), make("pcgrad", 12)
    weighting.at = other.at = (0, 3)
    orders = weighting.random_orders(torch.arange(12))
    assert orders == other.random_orders(torch.arange(12))
    assert all(sorted([*order, row]) == list(range(12)) for row, order in enumerate(orders))
    other.at = (0, 4)
    assert orders != other.random_orders(torch.arange(12))
