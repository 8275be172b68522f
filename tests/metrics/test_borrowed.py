"""Metrics of torchmetrics that a kind of task gives: their states add up as those of this program do."""

import pytest
import torch
from torch import nn
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import BinaryAUROC
from torchmetrics.regression import MeanAbsoluteError

from mtl_cli.metrics.base import EntryMean
from mtl_cli.metrics.borrowed import Borrowed, own
from mtl_cli.training.shards import both


class Nested(Metric):
    """Keeps two metrics of its own."""

    full_state_update = False

    def __init__(self):
        super().__init__()
        self.inside = nn.ModuleList([MeanMetric(), MeanAbsoluteError()])

    def update(self, predictions, target):
        self.inside[0].update(predictions)
        self.inside[1].update(predictions, target)

    def compute(self):
        return self.inside[0].compute() + self.inside[1].compute()


class Own(EntryMean):
    def update(self, predictions, target):
        self.add(predictions == target, torch.ones_like(target, dtype=torch.bool))


@pytest.mark.parametrize("metric", [MeanAbsoluteError, BinaryAUROC, Nested])
def test_states_of_parts_put_together_are_the_whole(metric):
    predictions, target = torch.rand(12), torch.arange(12) % 2
    parts = [own(metric()) for _ in range(3)]
    for part, rows in zip(parts, (slice(0, 5), slice(5, 12), slice(0, 12)), strict=True):
        part.update(predictions[rows], target[rows])
    whole = own(metric())
    whole.put(both(parts[0].state(), parts[1].state()))
    assert float(whole.compute()) == pytest.approx(float(parts[2].compute()))
    whole.put(parts[1].state())
    assert float(whole.compute()) == pytest.approx(float(parts[1].compute())), "what was computed before is kept"
    parts[0].reset()
    assert str(parts[0].state()) == str(own(metric()).state())


def test_own_metrics_stay_as_they_are_and_others_exchange_nothing():
    metric = Own()
    assert own(metric) is metric
    borrowed = own(MeanAbsoluteError())
    assert isinstance(borrowed, Borrowed)
    assert not borrowed.metric.distributed_available_fn()
