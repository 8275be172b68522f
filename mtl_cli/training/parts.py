"""The metrics of parts of a split, from one sweep: of any group of rows, and of rows that are drawn again.

The states of metrics add up over the parts of a split (`mtl_cli.metrics.base`). So every part keeps its own states, and
those of any choice of parts, each taken any number of times, give the metrics of exactly these rows.

1. `Parts` says which part each row is in: a block, which is drawn as a whole, and a group, which is compared.
2. `PartMeters` take in what the model says of the rows, while a split is evaluated.
3. `PartStates` give the metrics of some groups, as they are (`values`) or drawn again (`replicates`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.heads.base import Output, change_output, join_outputs, tensors_of
from mtl_cli.metrics.base import Metric, State
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.tasks.base import Task
from mtl_cli.training.meters import Meter, shortest

Array = np.ndarray[Any, Any]
BUFFER_BYTES = 1 << 26
"""Outputs that are kept until they are taken in part by part: taking in a part costs about a millisecond."""
STATE_BYTES = 1 << 28
"""The most that the sums of one metric may take over all parts; a metric that needs more has no replicates."""
DRAWN_ROWS = 2 * 10**7
"""Rows that a metric which needs them all at once sees over all of its replicates, unless these are fewer than 100."""
MIN_REPLICATES = 100


@dataclass(frozen=True)
class Parts:
    """Which block and which group each row of a split is in, int64 [N] each, counted from 0."""

    block: Tensor
    group: Tensor
    num_blocks: int
    num_groups: int

    @property
    def number(self) -> int:
        """The number of parts."""
        return self.num_blocks * self.num_groups

    def of(self, rows: Tensor) -> Tensor:
        """Return the part of each row [B]."""
        return self.block[rows] * self.num_groups + self.group[rows]


@dataclass
class States:
    """The states of one metric by part: sums, float64 [parts, ...], and rows that are gathered with their parts."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    gathered: dict[str, list[Tensor]] = field(default_factory=dict)
    parts: dict[str, list[Tensor]] = field(default_factory=dict)
    too_large: bool = False


class PartStates:
    """The states of one task's metrics by part of a split."""

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

    def add(self, part: int, outputs: Output, target: Tensor, predicted: Output | None, weights: Tensor | None) -> None:
        """Take in rows of one part."""
        count = self.task.labelled_entries(target)
        if count == 0:
            return
        self.labels[part] += count
        self._meter.update(outputs, target, count, predicted, weights)
        for name, metric in self.metrics.items():
            self._keep(self._states[name], metric, part)
        for metric in (self._meter.loss, *self._meter.metrics.values()):
            metric.reset()

    def _keep(self, states: States, metric: Metric, part: int) -> None:
        """Take over the state of a metric that has seen rows of one part only."""
        for name, value in metric.state().items():
            if isinstance(value, list):
                rows = torch.cat(value).cpu()
                states.gathered.setdefault(name, []).append(rows)
                states.parts.setdefault(name, []).append(torch.full((len(rows),), part))
                continue
            if name not in states.sums:
                states.too_large |= value.numel() * self.parts.number * 8 > STATE_BYTES
                size = (0 if states.too_large else self.parts.number, *value.shape)
                states.sums[name] = torch.zeros(size, dtype=torch.float64)
            if not states.too_large:
                states.sums[name][part] += value.cpu()

    def values(self, groups: Sequence[int]) -> dict[str, float]:
        """Return the metrics of the rows of some groups; NaN where they have no label."""
        once = torch.ones(1, self.parts.num_blocks, dtype=torch.float64)
        found = self.replicates(once, groups)
        return {
            name: shortest(torch.tensor(values[0])) if len(values) else float("nan") for name, values in found.items()
        }

    def replicates(self, times: Tensor, groups: Sequence[int]) -> dict[str, Array]:
        """Return each metric of the rows of some groups [R], block b being taken `times`[r, b] times.

        Metrics that need all rows at once have fewer replicates where there are many rows. None are there of a metric
        whose state is too large.
        """
        mine = torch.zeros(self.parts.num_groups, dtype=torch.bool)
        mine[list(groups)] = True
        labelled = self.labels.reshape(self.parts.num_blocks, -1)[:, mine].sum(dim=1).double()
        some = (times.double() @ labelled) > 0
        return {name: self._drawn(name, times, mine, some) for name in self.metrics}

    @torch.no_grad()
    def _drawn(self, name: str, times: Tensor, mine: Tensor, some: Tensor) -> Array:
        metric, states = self.metrics[name], self._states[name]
        if states.too_large:
            return np.empty(0)
        blocks = self.parts.num_blocks
        sums = {
            key: (times.double() @ value.reshape(blocks, self.parts.num_groups, -1)[:, mine].sum(dim=1)).reshape(
                len(times), *value.shape[1:]
            )
            for key, value in states.sums.items()
        }
        gathered = {
            key: Gathered(torch.cat(value), torch.cat(states.parts[key]), mine)
            for key, value in states.gathered.items()
        }
        size = max((len(each.rows) for each in gathered.values()), default=0)
        number = len(times) if not size else min(len(times), max(MIN_REPLICATES, DRAWN_ROWS // size))
        values = np.full(number, np.nan)
        for r in range(number):
            if not some[r]:
                continue
            drawn: State = {key: rows.drawn(times[r], metric.told_apart, key) for key, rows in gathered.items()}
            drawn |= {key: like(total[r], metric.state()[key]) for key, total in sums.items()}
            metric.put(drawn)
            values[r] = float(metric.compute())
        metric.reset()
        return values


def like(sums: Tensor, state: Tensor | list[Tensor]) -> Tensor:
    """Return sums as a metric keeps them."""
    assert isinstance(state, Tensor)
    return sums.to(state)


class Gathered:
    """The gathered rows of some groups with their blocks."""

    def __init__(self, rows: Tensor, part: Tensor, mine: Tensor) -> None:
        keep = mine[part % len(mine)]
        self.rows, self.block = rows[keep], part[keep] // len(mine)

    def drawn(self, times: Tensor, told_apart: Callable[[str, Tensor, int], Tensor], key: str) -> list[Tensor]:
        """Return the rows of each block as often as it is taken, copy after copy."""
        often = times[self.block]
        copies = []
        for copy in range(int(often.max()) if len(often) else 0):
            rows = self.rows if copy == 0 and bool((often > 0).all()) else self.rows[often > copy]
            copies.append(told_apart(key, rows, copy))
        return [torch.cat(copies)] if copies else [self.rows[:0]]


class PartMeters:
    """Takes in what a model says of the rows of a split, task by task and part by part.

    Args:
        parts: the parts of each dataset's rows.
    """

    def __init__(self, tasks: Mapping[str, Task], parts: Mapping[str, Parts], device: torch.device) -> None:
        self._tasks, self._parts, self._device = tasks, parts, device
        self._states: dict[str, PartStates] = {}
        self._kept: dict[str, list[Rows]] = {}
        self._bytes: dict[str, int] = {}

    def update(self, dataset: str, rows: Tensor, batch: Batch, out: Outputs) -> None:
        """Take in the outputs for rows of a dataset."""
        if dataset not in self._parts:
            return
        parts = self._parts[dataset]
        for name, target in batch.targets.items():
            if name not in self._states:
                self._states[name] = PartStates(self._tasks[name], parts, self._device)
            new = Rows(parts.of(rows), out.outputs[name], target, out.generated.get(name), batch.weights.get(name))
            kept = self._kept.setdefault(name, [])
            if kept and not (kept[0].fits(new) and self._bytes[name] < BUFFER_BYTES):
                self._take_in(name)
            self._kept[name].append(new)
            self._bytes[name] = self._bytes.get(name, 0) + new.bytes

    def states(self) -> dict[str, PartStates]:
        """Return the states by task, of tasks that have a label."""
        for name in list(self._kept):
            self._take_in(name)
        return self._states

    def _take_in(self, name: str) -> None:
        kept, self._kept[name], self._bytes[name] = self._kept[name], [], 0
        if not kept:
            return
        rows = Rows.joined(kept)
        order = torch.argsort(rows.part, stable=True)
        found, counts = torch.unique_consecutive(rows.part[order], return_counts=True)
        for part, places in zip(found.tolist(), order.split(counts.tolist()), strict=True):
            own = rows.at(places.to(rows.target.device))
            self._states[name].add(part, own.outputs, own.target, own.predicted, own.weights)


@dataclass(frozen=True)
class Rows:
    """Outputs and targets of some rows with the part of each."""

    part: Tensor
    outputs: Output
    target: Tensor
    predicted: Output | None
    weights: Tensor | None

    @property
    def tensors(self) -> list[Tensor]:
        """All that is kept of the rows."""
        other = [] if self.predicted is None else tensors_of(self.predicted)
        return [*tensors_of(self.outputs), self.target, *other]

    @property
    def bytes(self) -> int:
        """The memory that they take, about a kilobyte for a tensor beside its numbers."""
        return sum(tensor.nbytes + (1 << 10) for tensor in (self.part, *self.tensors))

    def fits(self, other: "Rows") -> bool:
        """Return whether the shapes of a row are the same, so that both can be joined."""
        return [each.shape[1:] for each in self.tensors] == [each.shape[1:] for each in other.tensors]

    @classmethod
    def joined(cls, parts: "list[Rows]") -> "Rows":
        """Return several as one."""
        predicted = [each.predicted for each in parts if each.predicted is not None]
        weights = [each.weights for each in parts if each.weights is not None]
        return cls(
            torch.cat([each.part for each in parts]),
            join_outputs([each.outputs for each in parts], torch.cat),
            torch.cat([each.target for each in parts]),
            join_outputs(predicted, torch.cat) if predicted else None,
            torch.cat(weights) if weights else None,
        )

    def at(self, places: Tensor) -> "Rows":
        """Return the rows at some places [B]."""
        return Rows(
            self.part[places.cpu()],
            change_output(lambda tensor: tensor[places], self.outputs),
            self.target[places],
            None if self.predicted is None else change_output(lambda tensor: tensor[places], self.predicted),
            None if self.weights is None else self.weights[places],
        )
