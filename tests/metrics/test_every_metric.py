"""Every metric of every kind of task: its state is sums or gathered rows, so that parts of a split make the whole."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat, dim_zero_sum

from mtl_cli.training.evaluate import Meter
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


def gathered(metrics: list[Metric]) -> Metric:
    """Return a metric whose states are those of all, as processes put them together: one tensor per state."""
    whole = metrics[0].clone()
    for name, reduction in whole._reductions.items():
        states = [getattr(metric, name) for metric in metrics]
        rows = [row for state in states for row in state] if reduction is dim_zero_cat else []
        setattr(whole, name, torch.cat(rows) if rows else torch.stack(states).sum(dim=0))
    return has_seen_rows(whole)


def merged(metric: Metric, other: Metric) -> Metric:
    """Return what torchmetrics makes of two parts."""
    whole = metric.clone()
    whole.merge_state(other)
    return has_seen_rows(whole)


def has_seen_rows(metric: Metric) -> Metric:
    """Return the metric without what it kept of its own part; it warns where that part was empty."""
    metric._computed, metric._update_count = None, 1
    return metric


def values(metric: Metric) -> list[float]:
    return metric.compute().double().flatten().tolist()


def missing(target: Tensor) -> Tensor:
    return torch.full_like(target, torch.nan if target.is_floating_point() else -100)


def other_attributes(metric: Metric) -> dict[str, str]:
    """Return what a metric keeps besides its states and torchmetrics' own bookkeeping."""
    own = {key: value for key, value in vars(metric).items() if key not in metric._reductions and key[0] != "_"}
    return {key: repr(value) for key, value in own.items() if not callable(value)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_is_a_sum_or_gathered_rows_and_there_is_no_other(kind):
    task = make(kind)
    seen, fresh = metrics_of(task, batches_of(kind, targets(kind, ROWS))), metrics_of(task, [])
    for name, metric in seen.items():
        assert metric._reductions, f"{name} has no state"
        assert set(metric._reductions.values()) <= {dim_zero_sum, dim_zero_cat}, name
        assert not list(metric.children()), f"{name} keeps metrics of its own, whose states are not its own"
        assert other_attributes(metric) == other_attributes(fresh[name]), name
        for state, reduction in metric._reductions.items():
            if reduction is dim_zero_sum:
                assert getattr(metric, state).shape == getattr(fresh[name], state).shape, (name, state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("cut", "labelled"), [(3, True), (1, True), (3, False)], ids=["halves", "a row", "no label"])
def test_parts_of_a_split_merged_are_the_whole(kind, cut, labelled):
    task, target = make(kind), with_missing(targets(kind, ROWS))
    target[0] = targets(kind, 1)[0]
    if not labelled:
        target[sum(BATCHES[:cut]) :] = missing(target[:1])
    batches = batches_of(kind, target)
    whole, first, second = (metrics_of(task, part) for part in (batches, batches[:cut], batches[cut:]))
    assert (int(second["loss"].weight) > 0) is labelled
    for name, metric in whole.items():
        wanted = values(metric)
        assert not all(map(math.isnan, wanted)), name
        for one, other in ((first[name], second[name]), (second[name], first[name])):
            assert values(gathered([one, other])) == pytest.approx(wanted, rel=1e-6, abs=1e-9, nan_ok=True), name
            assert values(merged(one, other)) == pytest.approx(wanted, rel=1e-6, abs=1e-9, nan_ok=True), name
