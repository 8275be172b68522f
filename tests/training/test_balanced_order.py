"""Passes in which every class occurs equally often; plain passes: test_loading.py."""

import pytest
import torch

from mtl_cli.batch import MISSING_CLASS
from mtl_cli.errors import UserError
from mtl_cli.runs import run
from mtl_cli.training.order import Order
from tests import _toy

CLASSES = torch.tensor([0] * 70 + [1] * 20 + [2] * 7 + [MISSING_CLASS] * 5)


def passes(order, number):
    """The rows of pass `number`, in their order."""
    return torch.cat([order.rows(number * order.batches + k) for k in range(order.batches)])


def test_every_class_occurs_equally_often_and_rows_without_a_class_once_a_pass():
    order = Order(len(CLASSES), 16, "a", 0, CLASSES)
    for number in range(3):
        rows = passes(order, number)
        assert len(rows) == len(CLASSES)
        counts = torch.bincount(CLASSES[rows] + 100, minlength=103)
        assert counts[100:].tolist() in ([32, 32, 33], [32, 33, 32], [33, 32, 32])
        assert sorted(rows[CLASSES[rows] == MISSING_CLASS].tolist()) == [97, 98, 99, 100, 101]


def test_no_row_comes_again_before_every_row_of_its_class_has_come():
    order = Order(len(CLASSES), 16, "a", 0, CLASSES)
    drawn = torch.cat([passes(order, number) for number in range(7)])
    for each in range(3):
        times = torch.bincount(drawn[CLASSES[drawn] == each], minlength=len(CLASSES))[each == CLASSES]
        assert int(times.max() - times.min()) <= 1


def test_draws_in_any_order_are_the_same():
    order, other = (Order(len(CLASSES), 16, "a", 3, CLASSES) for _ in range(2))
    forward = [order.rows(draw) for draw in range(30)]
    for draw in reversed(range(30)):
        assert torch.equal(other.rows(draw), forward[draw])
    assert not torch.equal(Order(len(CLASSES), 16, "b", 3, CLASSES).rows(0), forward[0])
    assert not torch.equal(Order(len(CLASSES), 16, "a", 4, CLASSES).rows(0), forward[0])


def test_fewer_rows_than_classes_and_no_label_at_all():
    for classes in (torch.arange(3), torch.tensor([7]), torch.full((4,), MISSING_CLASS)):
        rows = passes(Order(len(classes), 2, "a", 0, classes), 0)
        assert sorted(rows.tolist()) == list(range(len(classes)))


def test_batches_mix_the_classes():
    order = Order(len(CLASSES), 34, "a", 0, CLASSES)
    for draw in range(order.batches):
        assert (torch.bincount(CLASSES[order.rows(draw)] + 100, minlength=103)[100:] > 3).all()


class Balanced(_toy.Toy):
    """The toy dataset, balanced by a field."""

    def __init__(self, balance: str, seed: int, batch_size: int) -> None:
        super().__init__(seed, batch_size, 0.0, False, -1, 48)
        self.balance = balance


def balanced_config(field):
    config = _toy.config()
    for task in config["tasks"].values():
        task["dataset"] = {
            "_target_": "tests.training.test_balanced_order.Balanced",
            "balance": field,
            "seed": 1,
            "batch_size": 16,
        }
    return config


def test_a_run_draws_balanced_and_evaluates_every_row_once(tmp_path, monkeypatch):
    drawn = []
    rows = Order.rows
    monkeypatch.setattr(Order, "rows", lambda self, draw: drawn.append(rows(self, draw)) or drawn[-1])
    run.train(balanced_config("quadrant"), tmp_path / "run", [])
    labels = Balanced("quadrant", 1, 16).split("train").labels("quadrant")
    assert torch.bincount(labels[torch.cat(drawn)]).tolist() == [24, 24, 24, 24]
    assert len(torch.bincount(labels).unique()) > 1


def test_a_field_that_does_not_exist_is_told_with_the_nearest(tmp_path):
    with pytest.raises(UserError, match=r"balanced by 'quadrand'.*Did you mean 'quadrant'"):
        run.train(balanced_config("quadrand"), tmp_path / "run", [])
    assert not (tmp_path / "run").exists()
