"""Every metric of every kind of task: its state is sums or gathered rows, so that parts of a split make the whole."""

import math

import pytest
import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric
from mtl_cli.training.meters import Meter
from mtl_cli.training.shards import both
from tests.tasks._inputs import KINDS, make, outputs_for, targets, with_missing

BATCHES = [1, 14, 15, 15, 15]
ROWS = sum(BATCHES)


def batches_of(kind, target, sizes=BATCHES):
    """Return outputs and targets batch by batch."""
    return list(zip(outputs_for(kind, len(target)).split(sizes), target.split(sizes), strict=True))


def metrics_of(task, batches) -> dict[str, Metric]:
    """Return the metrics and the loss after batches; those without a label are left out, as in a sweep."""
    meter = Meter(task, torch.device("cpu"))
    for outputs, target in batches:
        if count := task.labelled_entries(target):
            meter.update(outputs, target, count)
    return {"loss": meter.loss, **meter.metrics}


def of_state(fresh: Metric, state) -> list[float]:
    """Return the values of a metric with a state."""
    fresh.reset()
    fresh.put(state)
    return fresh.compute().double().flatten().tolist()


def missing(target: Tensor) -> Tensor:
    return torch.full_like(target, torch.nan if target.is_floating_point() else -100)


def other_attributes(metric: Metric) -> dict[str, str]:
    """Return what a metric keeps besides its states."""
    return {key: repr(value) for key, value in vars(metric).items() if key not in metric.state()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_is_a_sum_or_gathered_rows_and_there_is_no_other(kind):
    task = make(kind)
    seen, fresh = metrics_of(task, batches_of(kind, targets(kind, ROWS))), metrics_of(task, [])
    for name, metric in seen.items():
        state, start = metric.state(), fresh[name].state()
        assert state, f"{name} has no state"
        assert other_attributes(metric) == other_attributes(fresh[name]), name
        for key, value in state.items():
            begins = start[key]
            assert begins == [] if isinstance(value, list) else begins.shape == value.shape, (name, key)
        metric.reset()
        assert str(metric.state()) == str(start), f"{name} does not start anew"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("cut", "labelled"), [(3, True), (1, True), (3, False)], ids=["halves", "a row", "no label"])
def test_parts_of_a_split_put_together_are_the_whole(kind, cut, labelled):
    task, target = make(kind), with_missing(targets(kind, ROWS))
    target[0] = targets(kind, 1)[0]
    if not labelled:
        target[sum(BATCHES[:cut]) :] = missing(target[:1])
    batches = batches_of(kind, target)
    whole, first, second = (metrics_of(task, part) for part in (batches, batches[:cut], batches[cut:]))
    assert (int(second["loss"].weight) > 0) is labelled
    for name, metric in whole.items():
        wanted = metric.compute().double().flatten().tolist()
        assert not all(map(math.isnan, wanted)), name
        for one, other in ((first[name], second[name]), (second[name], first[name])):
            joined = both(one.state(), other.state())
            fresh = metrics_of(task, [])[name]
            assert of_state(fresh, joined) == pytest.approx(wanted, rel=1e-6, abs=1e-9, nan_ok=True), name
