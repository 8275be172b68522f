"""Losses of many tasks in few tensors."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Self

import torch
from torch import Tensor

Part = tuple[tuple[str, ...], Tensor]
"""The losses of some tasks: a vector [K], or a scalar of one task."""


class TaskLosses(Mapping[str, Tensor]):
    """Losses by task, held as parts: a vector of tasks that are computed as one, a scalar of any other task.

    As a mapping it takes a vector apart, which costs 1 µs per task; `vector` does not.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.tasks = parts[0][0] if len(parts) == 1 else tuple(task for tasks, _ in parts for task in tasks)
        """All tasks, in the order of the parts."""

    @cached_property
    def joined(self) -> Tensor:
        """The losses [K] of all `tasks`."""
        values = [values if values.ndim else values.reshape(1) for _, values in self.parts]
        return values[0] if len(values) == 1 else torch.cat(values)

    def vector(self, tasks: tuple[str, ...]) -> Tensor:
        """Return the losses [K] of some tasks, in their order."""
        if tasks is self.tasks or tasks == self.tasks:
            return self.joined
        return self.joined[places(self.tasks, tasks, self.joined.device)]

    @property
    def scalars(self) -> dict[str, Tensor]:
        """The losses of the tasks that are computed on their own."""
        return {tasks[0]: loss for tasks, loss in self.parts if loss.ndim == 0}

    def plus(self, other: "TaskLosses") -> "TaskLosses":
        """Return the sums by task; a task that one of them lacks has the loss of the other."""
        if self.tasks == other.tasks:
            return TaskLosses([(self.tasks, self.joined + other.joined)])
        own = dict(self)
        for task, loss in other.items():
            own[task] = own[task] + loss if task in own else loss
        return self.of(own)

    @classmethod
    def of(cls, losses: Mapping[str, Tensor]) -> Self:
        """Return scalars by task as losses of that many parts."""
        return cls([((task,), loss) for task, loss in losses.items()])

    @cached_property
    def _by_task(self) -> dict[str, Tensor]:
        return dict(zip(self.tasks, self.joined.unbind(), strict=True))

    def __getitem__(self, task: str) -> Tensor:
        return self._by_task[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


@lru_cache(maxsize=64)
def places(held: tuple[str, ...], wanted: tuple[str, ...], device: torch.device) -> Tensor:
    """Return where the tasks `wanted` [K] are among those `held`; made once, for a new index waits for the device."""
    number = {task: place for place, task in enumerate(held)}
    return torch.tensor([number[task] for task in wanted], device=device)


def vector_of(losses: Mapping[str, Tensor], tasks: tuple[str, ...]) -> Tensor:
    """Return the losses [K] of some tasks, in their order."""
    if isinstance(losses, TaskLosses):
        return losses.vector(tasks)
    return torch.stack([losses[task] for task in tasks])


def by_task(parts: Sequence[Part]) -> Mapping[str, Tensor]:
    """Return losses by task: as a mapping of scalars where every part is one."""
    if all(loss.ndim == 0 for _, loss in parts):
        return {tasks[0]: loss for tasks, loss in parts}
    return TaskLosses(parts)


def plus(totals: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the sums of losses by task."""
    if not totals:
        return more
    if isinstance(totals, TaskLosses) or isinstance(more, TaskLosses):
        pair = [each if isinstance(each, TaskLosses) else TaskLosses.of(each) for each in (totals, more)]
        return pair[0].plus(pair[1])
    return {**totals, **{task: totals[task] + loss if task in totals else loss for task, loss in more.items()}}


def backpropagate_sum(losses: Mapping[str, Tensor]) -> None:
    """Backpropagate the sum of losses without making it: 40 µs less per step."""
    tensors = [loss for _, loss in losses.parts] if isinstance(losses, TaskLosses) else list(losses.values())
    torch.autograd.backward(tensors, [ones(loss.shape, loss.device) for loss in tensors])


@lru_cache(maxsize=64)
def ones(shape: torch.Size, device: torch.device) -> Tensor:
    """Return the gradient of a sum by what it adds up."""
    return torch.ones(shape, device=device)
