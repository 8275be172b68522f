"""Heads of many tasks as one module."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

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
