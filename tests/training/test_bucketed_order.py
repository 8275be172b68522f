"""Passes whose batches hold rows of like lengths."""

import pytest
import torch

from mtl_cli.training.order import POOL, Order


def order(size=1003, batch_size=8, seed=0, name="a", classes=None):
    lengths = torch.randint(5, 61, (size,), generator=torch.Generator().manual_seed(1))
    return Order(size, batch_size, name, seed, classes, lengths), lengths


@pytest.mark.parametrize(("size", "batch_size"), [(1003, 8), (8, 8), (5, 8), (64 * 4 + 1, 4)])
def test_every_pass_holds_every_row_once_in_batches_of_nearly_one_size(size, batch_size):
    made, _ = order(size, batch_size)
    for number in range(3):
        batches = [made.rows(number * made.batches + k) for k in range(made.batches)]
        assert torch.equal(torch.cat(batches).sort().values, torch.arange(size))
        assert max(map(len, batches)) - min(map(len, batches)) <= 1


def test_a_batch_depends_on_seed_name_and_draw_alone():
    made, other = order()[0], order()[0]
    draws = [700, 3, 3, 130, 0, 131]
    assert all(torch.equal(other.rows(draw), made.rows(draw)) for draw in draws)
    assert not torch.equal(order(seed=1)[0].rows(0), made.rows(0))
    assert not torch.equal(order(name="b")[0].rows(0), made.rows(0))
    assert not torch.equal(made.rows(made.batches), made.rows(0))


def test_batches_hold_little_padding_and_come_in_no_order_of_length():
    made, lengths = order(20000, 32)
    batches = [lengths[made.rows(k)] for k in range(made.batches)]
    padded = sum(len(batch) * int(batch.max()) for batch in batches)
    assert 1 - int(lengths.sum()) / padded < 0.02
    means = torch.stack([batch.float().mean() for batch in batches])
    assert torch.corrcoef(torch.stack([means, torch.arange(len(means)).float()]))[0, 1].abs() < 0.1
    assert made.batches > POOL


def test_balanced_passes_stay_balanced():
    classes = (torch.arange(400) % 10 == 0).long()
    made, _ = order(400, 16, classes=classes)
    rows = torch.cat([made.rows(k) for k in range(made.batches)])
    assert classes[rows].sum() == 200
