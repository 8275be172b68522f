"""Heads of many tasks as one module."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_cli.features import Features


class StackedHeads(nn.Module, ABC):
    """The heads of T tasks of one form as one module: each parameter [T, ...] holds one row per task.

    It is made of heads that were built, and seeded, one by one. So a task's rows do not depend on the other tasks.
    Checkpoints hold the rows under the names that the heads have apart (`MultiTaskModel.parts`).
    """

    def __init__(self, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.tasks = tuple(heads)
        named = [dict(head.named_parameters()) for head in heads.values()]
        self.names = tuple(named[0])
        """Names of the parameters in the head of one task."""
        self.rows = nn.ParameterList(torch.stack([each[name].detach() for each in named]) for name in self.names)
        """The parameters, in the order of `names`."""

    def forward(self, features: Features) -> Tensor:
        """Return outputs [B, T, O]; all tasks read the same features."""
        return self.run(self.read(features))

    @abstractmethod
    def read(self, features: Features) -> Tensor:
        """Return the vectors [B, D] that all tasks start from."""

    @abstractmethod
    def run(self, values: Tensor) -> Tensor:
        """Return outputs [B, T, O] from vectors [B, D] that all tasks read, or from those of each task, [T, B, D]."""


Views = dict[tuple[str, ...], tuple[Tensor, Tensor]]
"""The features [B, D] that the tasks of a stack start from, and each task's view of them [T, B, D]."""


def view_stacks(stacks: Sequence[StackedHeads], features: Mapping[str, Features]) -> Views:
    """Return the views of stacked heads by the names of their tasks."""
    read = {stack.tasks: stack.read(features[stack.tasks[0]]) for stack in stacks}
    return {tasks: (values, values.expand(len(tasks), *values.shape)) for tasks, values in read.items()}


def run_stacks(
    stacks: Sequence[StackedHeads], features: Mapping[str, Features], views: Views | None = None
) -> dict[tuple[str, ...], Tensor]:
    """Return the outputs [B, T, O] of stacked heads by the names of their tasks, as float32."""
    if views:
        return {stack.tasks: stack.run(views[stack.tasks][1]).float() for stack in stacks}
    return {stack.tasks: stack(features[stack.tasks[0]]).float() for stack in stacks}
