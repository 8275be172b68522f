"""The metrics of parts of a split, from one sweep: of any group of rows, and of rows that are drawn again.

The states of metrics add up over the parts of a split (`mtl_cli.metrics.base`). So every part keeps its own states, and
those of any choice of parts, each taken any number of times, give the metrics of exactly these rows.

1. `Parts` says which part each row is in: a block, which is drawn as a whole, and a group, which is compared.
2. `PartMeters` take in what the model says of the rows, while a split is evaluated.
3. `PartStates` give the metrics of some groups, as they are (`values`) or drawn again (`replicates`).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.tasks.base import Task
from mtl_cli.training.part_rows import Parts, Rows
from mtl_cli.training.part_states import PartStates

BUFFER_BYTES = 1 << 26
"""Outputs of all tasks that are kept until they are taken in part by part, which costs about a millisecond per part."""
BY_ROW_BYTES = 1 << 20
"""Outputs of a task that are kept until rows of many parts are taken in at once."""


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
            if kept and not (kept[0].fits(new) and self._bytes[name] < self._most(name)):
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
        self._states[name].add(Rows.joined(kept))

    def _most(self, name: str) -> int:
        """Return how many bytes of outputs of a task are kept."""
        return BY_ROW_BYTES if self._states[name].by_row else BUFFER_BYTES // len(self._tasks)
