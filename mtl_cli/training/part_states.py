"""The states of one task's metrics in each part of a split, and the metrics of any choice of parts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected, Metric, State
from mtl_cli.metrics.choices_base import AT_ONCE, Choices
from mtl_cli.storage import on_disk
from mtl_cli.tasks.base import Task
from mtl_cli.training.meters import Meter, shortest
from mtl_cli.training.part_rows import Parts, Rows

Array = np.ndarray[Any, Any]
STATE_BYTES = 1 << 28
"""The most that the sums of one metric may take over all parts; a metric that needs more has no replicates."""
DRAWN_ROWS = 2 * 10**7
"""Rows that a metric which needs them all at once sees over all of its replicates, unless these are fewer than 100."""
MIN_REPLICATES = 100


@dataclass
class States:
    """The states of one metric by part: sums, float64 [parts, ...], and rows that are gathered with their parts."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    gathered: dict[str, list[Tensor]] = field(default_factory=dict)
    parts: dict[str, list[Tensor]] = field(default_factory=dict)
    too_large: bool = False

    def add(self, state: Mapping[str, Tensor | list[Tensor]], part: Tensor, number: int) -> None:
        """Take in sums of rows [B, ...], or rows that are gathered, each of a part [B], or all of one [1].

        There are `number` parts.
        """
        for name, value in state.items():
            if isinstance(value, list):
                rows = torch.cat(value).cpu()
                self.gathered.setdefault(name, []).append(rows)
                self.parts.setdefault(name, []).append(part.expand(len(rows)))
                on_disk.pack(self.gathered[name])
                on_disk.pack(self.parts[name])
                continue
            if name not in self.sums:
                self.too_large |= value[0].numel() * number * 8 > STATE_BYTES
                size = (0 if self.too_large else number, *value.shape[1:])
                self.sums[name] = torch.zeros(size, dtype=torch.float64)
            if not self.too_large:
                self.sums[name].index_add_(0, part, value.cpu().double())


class PartStates:
    """The states of one task's metrics by part of a split.

    Where all metrics are `row_by_row`, and the loss is the mean of `Task.entry_losses`, rows of many parts are taken in
    at once; else those of each part by themselves.
    """

    def __init__(self, task: Task, parts: Parts, device: torch.device) -> None:
        self.task, self.parts = task, parts
        self._meter = Meter(task, device)
        self._meter.metrics.pop("confusion", None)
        loss = {"loss": self._meter.loss} if task.adds_up else {}
        self.metrics: dict[str, Metric] = {**loss, **self._meter.metrics}
        """The loss, where it adds up over rows, and the metrics."""
        self._states = {name: States() for name in self.metrics}
        self.labels = torch.zeros(parts.number, dtype=torch.int64)
        """The number of labels of each part."""
        self.by_row = all(metric.row_by_row for metric in self._meter.metrics.values()) and (
            not task.adds_up or task.adds_entries()
        )
        """Whether rows of many parts are taken in at once."""

    def add(self, rows: Rows) -> None:
        """Take in rows."""
        if not self.by_row:
            for part, own in rows.by_part():
                self._add_part(part, own)
            return
        keep = self.task.labelled_rows(rows.target)
        width = max(1, *map(size_of_sums, self.metrics.values()))
        for places in keep.nonzero()[:, 0].split(max(1, AT_ONCE // width)):
            self._add_rows(rows.at(places))

    def _add_rows(self, rows: Rows) -> None:
        """Take in labelled rows of any parts."""
        task, target, part = self.task, rows.target, rows.part
        outputs, number = task.matched(rows.outputs, target), self.parts.number
        marks = task.label_marks(target)
        counts = marks.flatten(1).sum(dim=1) if marks.ndim > 1 else marks.long()
        self.labels.index_add_(0, part, counts.cpu())
        if task.adds_up:
            losses = task.entry_losses(outputs, target)
            losses = torch.where(marks.reshape(losses.shape), losses, 0.0).reshape(len(target), -1).sum(dim=1)
            losses = losses if rows.weights is None else losses * rows.weights
            self._states["loss"].add({"total": losses, "weight": counts}, part, number)
        seen = outputs if rows.predicted is None else task.matched(rows.predicted, target)
        predictions, references = task.predictions(seen), task.references(target)
        for name, metric in self._meter.metrics.items():
            if isinstance(metric, Collected):
                metric.update(predictions, references)
                self._states[name].add(metric.state(), part, number)
                metric.reset()
            else:
                self._states[name].add(metric.sums_by_row(predictions, references), part, number)

    def _add_part(self, part: int, rows: Rows) -> None:
        """Take in rows of one part."""
        count = self.task.labelled_entries(rows.target)
        if count == 0:
            return
        self.labels[part] += count
        self._meter.update(rows.outputs, rows.target, count, rows.predicted, rows.weights)
        for name, metric in self.metrics.items():
            state = {key: value if isinstance(value, list) else value[None] for key, value in metric.state().items()}
            self._states[name].add(state, torch.tensor([part]), self.parts.number)
        for metric in (self._meter.loss, *self._meter.metrics.values()):
            metric.reset()

    def values(self, groups: Sequence[int]) -> dict[str, float]:
        """Return the metrics of the rows of some groups; NaN where they have no label."""
        once = torch.ones(1, self.parts.num_blocks, dtype=torch.float64)
        found = self.replicates(once, groups)
        return {
            name: shortest(torch.tensor(values[0])) if len(values) else float("nan") for name, values in found.items()
        }

    def replicates(self, times: Tensor, groups: Sequence[int]) -> dict[str, Array]:
        """Return each metric of the rows of some groups [R], block b being taken `times`[r, b] times, float64.

        Metrics that need all rows at once have fewer replicates where there are many rows. None are there of a metric
        whose state is too large.
        """
        mine = torch.zeros(self.parts.num_groups, dtype=torch.bool)
        mine[list(groups)] = True
        labelled = self.labels.reshape(self.parts.num_blocks, -1)[:, mine].sum(dim=1).double()
        some = (times @ labelled) > 0
        return {name: self._drawn(name, times, mine, some) for name in self.metrics}

    @torch.no_grad()
    def _drawn(self, name: str, times: Tensor, mine: Tensor, some: Tensor) -> Array:
        """Return a metric of the rows that are taken; NaN but for `some` of the replicates, which have a label."""
        metric, states = self.metrics[name], self._states[name]
        if states.too_large:
            return np.empty(0)
        blocks = self.parts.num_blocks
        sums = {
            key: value.reshape(blocks, len(mine), -1)[:, mine].sum(dim=1).reshape(blocks, *value.shape[1:])
            for key, value in states.sums.items()
        }
        gathered = {
            key: Gathered(on_disk.joined(value), on_disk.joined(states.parts[key]), mine)
            for key, value in states.gathered.items()
        }
        size = max((len(each.rows) for each in gathered.values()), default=0)
        number = len(times) if not size else min(len(times), max(MIN_REPLICATES, DRAWN_ROWS // size))
        values, some, times = torch.full((number,), torch.nan, dtype=torch.float64), some[:number], times[:number]
        times = times if bool(some.all()) else times[some]
        if len(times):
            values[some] = drawn_values(metric, sums, gathered, times).cpu().double()
        return values.numpy()


def size_of_sums(metric: Metric) -> int:
    """Return how many numbers the sums of a metric are."""
    return sum(value.numel() for value in metric.state().values() if isinstance(value, Tensor))


def drawn_values(
    metric: Metric, sums: Mapping[str, Tensor], gathered: "Mapping[str, Gathered]", times: Tensor
) -> Tensor:
    """Return the metric [R] of R choices of blocks, each taken `times` [R, blocks]."""
    if gathered and metric.takes_choices:
        choices = Choices(times, {key: each.block for key, each in gathered.items()})
        return metric.of_choices({key: each.rows for key, each in gathered.items()}, choices)
    some = times.split(max(1, AT_ONCE // max(1, size_of_sums(metric))))
    if not gathered:
        return torch.cat([metric.of_sums(totals_of(sums, metric, own)) for own in some])
    values = []
    for own in some:
        totals = totals_of(sums, metric, own)
        for r, often in enumerate(own):
            drawn: State = {key: rows.drawn(often, metric.told_apart, key) for key, rows in gathered.items()}
            metric.put({**drawn, **{key: total[r] for key, total in totals.items()}})
            values.append(float(metric.compute()))
    metric.reset()
    return torch.tensor(values, dtype=torch.float64)


def totals_of(sums: Mapping[str, Tensor], metric: Metric, times: Tensor) -> dict[str, Tensor]:
    """Return the sums of choices of blocks [R, ...] as the metric keeps them."""
    return {key: like(torch.tensordot(times, value, dims=1), metric.state()[key]) for key, value in sums.items()}


def like(sums: Tensor, state: Tensor | list[Tensor]) -> Tensor:
    """Return sums as a metric keeps them."""
    assert isinstance(state, Tensor)
    return sums.to(state)


class Gathered:
    """The gathered rows of some groups with their blocks."""

    def __init__(self, rows: Tensor, part: Tensor, mine: Tensor) -> None:
        if not bool(mine.all()):
            keep = mine[part % len(mine)]
            rows, part = rows[keep], part[keep]
        self.rows, self.block = rows, part if len(mine) == 1 else part // len(mine)

    def drawn(self, times: Tensor, told_apart: Callable[[str, Tensor, int], Tensor], key: str) -> list[Tensor]:
        """Return the rows of each block as often as it is taken, copy after copy."""
        often = times[self.block]
        copies = []
        for copy in range(int(often.max()) if len(often) else 0):
            rows = self.rows if copy == 0 and bool((often > 0).all()) else self.rows[often > copy]
            copies.append(told_apart(key, rows, copy))
        return [torch.cat(copies)] if copies else [self.rows[:0]]
