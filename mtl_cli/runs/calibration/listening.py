"""What a model says of the labelled rows of a split, kept while it is evaluated."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.evaluate import evaluate_model
from mtl_cli.training.loading import Stream

JOINED = 256
"""Batches whose rows are joined: a small tensor takes a kilobyte beside its numbers."""


@dataclass(frozen=True)
class LabelledOutputs:
    """What a model says of the labelled rows of a split for one task: outputs [N, num_outputs] and targets [N, ...]."""

    outputs: Tensor
    target: Tensor


class Kept:
    """Outputs and targets of one task's labelled rows, in few tensors.

    Beyond `most` bytes they are those of every second row, every fourth and so on.
    """

    def __init__(self, most: float) -> None:
        self._most, self._step, self._seen = most, 1, 0
        self._joined: list[tuple[Tensor, Tensor]] = []
        self._new: list[tuple[Tensor, Tensor]] = []

    def add(self, outputs: Tensor, target: Tensor) -> None:
        """Take in rows."""
        first, self._seen = -self._seen % self._step, self._seen + len(target)
        self._new.append((outputs[first :: self._step], target[first :: self._step]))
        if len(self._new) == JOINED:
            self._joined.append(self._joining(self._new))
            self._new = []
            while sum(part.nbytes for pair in self._joined for part in pair) > self._most:
                outputs, target = self._joining(self._joined)
                self._joined, self._step = [(outputs[::2].clone(), target[::2].clone())], 2 * self._step

    def joined(self) -> LabelledOutputs:
        """Return what was kept."""
        return LabelledOutputs(*self._joining([*self._joined, *self._new]))

    @staticmethod
    def _joining(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        return torch.cat([outputs for outputs, _ in pairs]), torch.cat([target for _, target in pairs])


class Listener:
    """Keeps what a model says of a split, on the CPU: a few numbers per row and task.

    Args:
        tasks: of which those are watched that can be calibrated.
        most: bytes for each task; beyond them `Kept` leaves rows out.
    """

    def __init__(self, tasks: Mapping[str, Task], most: float = math.inf) -> None:
        self.tasks = {name: task for name, task in tasks.items() if task.calibrates}
        self._most = most
        self._kept: dict[str, Kept] = {}

    def update(self, dataset: str, rows: Tensor, batch: Batch, out: Outputs) -> None:
        """Take in the outputs of rows."""
        for name, target in batch.targets.items():
            outputs = out.predicted(name)
            if name in self.tasks and isinstance(outputs, Tensor):
                keep = self.tasks[name].labelled_rows(target)
                self._kept.setdefault(name, Kept(self._most)).add(outputs[keep].cpu(), target[keep].cpu())

    def kept(self) -> dict[str, LabelledOutputs]:
        """Return what was kept, by task."""
        return {name: kept.joined() for name, kept in self._kept.items()}


def listen(
    model: MultiTaskModel, tasks: Mapping[str, Task], streams: Mapping[str, Stream], arithmetic: Arithmetic
) -> dict[str, LabelledOutputs]:
    """Return what a model says of a split, for the tasks that can be calibrated."""
    listener = Listener(tasks)
    evaluate_model(model, tasks, streams, arithmetic, watcher=listener)
    return listener.kept()
