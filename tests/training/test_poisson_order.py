"""Draws in which each row is by itself."""

import math

import torch

from mtl_cli.training.order import Order
from mtl_cli.training.poisson_order import PoissonOrder


def test_each_row_is_drawn_by_itself_with_one_probability():
    order = PoissonOrder.like(Order(40, 10, "toy", 3))
    draws = torch.zeros(2000, 40)
    for draw in range(2000):
        rows = order.rows(draw)
        assert len(set(rows.tolist())) == len(rows)
        draws[draw, rows] = 1
    assert (order.rate, order.expected_rows, order.batches) == (0.25, 10.0, 4)
    assert (draws.mean(dim=0) - 0.25).abs().max() < 4 * math.sqrt(0.25 * 0.75 / 2000)
    sizes = draws.sum(dim=1)
    assert abs(float(sizes.var()) - 40 * 0.25 * 0.75) < 1.0  # batches of one size would have no variance
    together = (draws.T @ draws / 2000).fill_diagonal_(0.0625)
    assert (together - 0.0625).abs().max() < 0.03  # pairs are independent


def test_a_draw_is_a_function_of_seed_name_and_number():
    order = PoissonOrder(40, 10, "toy", 3)
    rows = order.rows(5)
    order.rows(6)
    assert torch.equal(order.rows(5), rows)
    assert not torch.equal(PoissonOrder(40, 10, "toy", 4).rows(5), rows)
    assert not torch.equal(PoissonOrder(40, 10, "other", 3).rows(5), rows)


def test_a_batch_larger_than_the_data_draws_every_row():
    assert PoissonOrder(5, 10, "toy", 0).rows(0).tolist() == [0, 1, 2, 3, 4]
