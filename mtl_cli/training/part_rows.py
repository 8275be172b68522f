"""Which part of a split each row is in, and what a model says of the rows."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_cli.heads.base import Output, change_output, join_outputs, tensors_of


@dataclass(frozen=True)
class Parts:
    """Which block and which group each row of a split is in, whole numbers [N] each, counted from 0."""

    block: Tensor
    group: Tensor
    num_blocks: int
    num_groups: int

    @property
    def number(self) -> int:
        """The number of parts."""
        return self.num_blocks * self.num_groups

    def of(self, rows: Tensor) -> Tensor:
        """Return the part of each row, int32 [B]."""
        return self.block[rows].int() * self.num_groups + self.group[rows].int()


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

    def by_part(self) -> "list[tuple[int, Rows]]":
        """Return the rows of each part."""
        order = torch.argsort(self.part, stable=True)
        found, counts = torch.unique_consecutive(self.part[order], return_counts=True)
        places = order.to(self.target.device).split(counts.tolist())
        return [(part, self.at(own)) for part, own in zip(found.tolist(), places, strict=True)]
