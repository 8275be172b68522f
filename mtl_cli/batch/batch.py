"""Rows of one dataset with the targets of the tasks that have a label in them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mtl_cli.batch.samples import move


@dataclass(frozen=True)
class Inputs:
    """Model inputs [B, ...] of one dataset. The name lets a per-dataset stem find its own."""

    values: Tensor | Mapping[str, Tensor]
    dataset: str

    def to(self, device: torch.device) -> "Inputs":
        """Return the same inputs on `device`."""
        return Inputs(move(self.values, device), self.dataset)


StackCounts = Tensor | int
"""Labels of tasks that are computed as one: int64 [T], on the host, or one number where all tasks have as many."""


@dataclass(frozen=True)
class StackTarget:
    """The targets [B, T] or [B, T, C] of tasks that are computed as one, and how many labels each task has."""

    tasks: tuple[str, ...]
    values: Tensor
    counts: StackCounts

    @cached_property
    def present(self) -> tuple[str, ...]:
        """The tasks that have a label."""
        return labelled_tasks(self.tasks, self.counts)

    @property
    def is_full(self) -> bool:
        """Whether no label is missing."""
        every = self.values.numel() // len(self.tasks)
        return self.counts == every if isinstance(self.counts, int) else bool((self.counts == every).all())

    @property
    def by_task(self) -> dict[str, int]:
        """The labels of each task."""
        numbers = [self.counts] * len(self.tasks) if isinstance(self.counts, int) else self.counts.tolist()
        return dict(zip(self.tasks, numbers, strict=True))

    def only(self, tasks: Collection[str]) -> "StackTarget":
        """Return the targets with the labels of some tasks alone counted."""
        taken = torch.tensor([task in tasks for task in self.tasks])
        return StackTarget(self.tasks, self.values, torch.where(taken, self.counts, 0))


def per_task(entries: Tensor) -> Tensor:
    """Return the sums [T] of entries [B, T, ...], such as losses or marks of labels."""
    return entries.sum(dim=[0, *range(2, entries.ndim)])


def labelled_tasks(tasks: tuple[str, ...], counts: StackCounts) -> tuple[str, ...]:
    """Return those of the tasks [T] whose number of labels is not 0; `tasks` itself where all are."""
    if isinstance(counts, int):
        return tasks if counts else ()
    if bool(counts.all()):
        return tasks
    return tuple(task for task, count in zip(tasks, counts.tolist(), strict=True) if count)


@dataclass(frozen=True)
class Batch:
    """Rows of one dataset with the targets of the tasks that have a label in it.

    `targets` and `counts` (labelled samples, tokens or pixels) are keyed by task; a task without any label is left out.
    `weights` [B] are those of rows in the loss, for tasks that have some. `stacks` are the targets of tasks that are
    computed as one, by the stack's name; one in which no task has a label is left out.
    """

    inputs: Inputs
    targets: Mapping[str, Tensor]
    counts: Mapping[str, int]
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    stacks: Mapping[str, StackTarget] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that have a label here, those of stacks excepted."""
        return tuple(self.targets)

    @property
    def all_counts(self) -> dict[str, int]:
        """The labels of each task, those of stacks included."""
        found = dict(self.counts)
        for stack in self.stacks.values():
            found |= stack.by_task
        return found

    def apart(self) -> "Batch":
        """Return the same targets task by task, without stacks."""
        if not self.stacks:
            return self
        targets, counts = dict(self.targets), dict(self.counts)
        for stack in self.stacks.values():
            for row, (task, count) in enumerate(stack.by_task.items()):
                if count:
                    targets[task], counts[task] = stack.values[:, row], count
        return Batch(self.inputs, targets, counts, self.weights)

    @property
    def rows(self) -> int:
        """Number of samples, labelled or not."""
        values = self.inputs.values
        return (values if isinstance(values, Tensor) else next(iter(values.values()))).shape[0]  # `len` takes 5 µs
