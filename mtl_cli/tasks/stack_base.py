"""Tasks of one form, whose losses and metrics are computed as one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor

from mtl_cli.batch import labelled, per_task
from mtl_cli.tasks.base import Task

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

Kind = TypeVar("Kind", bound=Task)


class TaskStack(ABC, Generic[Kind]):
    """T tasks of one `Task.form` on one dataset: outputs are [B, T, O]; targets [B, T], or [B, T, C] of C labels each.

    What it computes equals what the tasks compute one by one. What differs from task to task, such as the scale of a
    target, is held as a tensor [T].
    """

    def __init__(self, tasks: Sequence[Kind]) -> None:
        self.tasks = tuple(tasks)
        self.names = tuple(task.name for task in tasks)
        self.fields = tuple(task.target for task in tasks)
        weights = torch.tensor([float(task.weight) for task in tasks])
        self.weights = None if bool((weights == 1).all()) else weights
        """Declared weights [T]; None where all are 1."""

    @property
    def name(self) -> str:
        """The name under which a batch holds its targets; no field has it."""
        return f"\0{self.names[0]}"

    def losses(self, outputs: Tensor, target: Tensor, divisor: Tensor | int, full: bool) -> Tensor:
        """Return the sum of each task's losses over its labels, by `divisor`, [T] or one number for all tasks.

        The target is `prepared`; with `full` it has every label.
        """
        if full:
            return per_task(self.entry_losses(outputs, target)) / divisor  # `mean` would write [B, T] backwards
        marks = labelled(target)
        losses = self.entry_losses(outputs, torch.where(marks, target, 0))
        return per_task(torch.where(marks, losses, 0.0)) / divisor

    @abstractmethod
    def prepared(self, target: Tensor) -> Tensor:
        """Return a target as losses take it, with labels missing as `labelled` knows them."""

    @abstractmethod
    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry, in the shape of a target that is prepared and has every label."""

    @abstractmethod
    def metrics(self) -> "dict[str, Metric]":
        """Return what the tasks' own `metrics` are, under the same names, each with one value per task [T].

        Each is updated with `predictions` and a target, in which labels may be missing.
        """

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return what metrics compare with the target, in its shape."""


def on(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a tensor on the device of another one."""
    return tensor if tensor.device == like.device else tensor.to(like.device, non_blocking=True)
