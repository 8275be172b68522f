"""What a dataset hands to the model: specs, samples and batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

MISSING_CLASS = -100
"""An integer label that is missing; torch's own `ignore_index`. A missing float label is NaN."""


@dataclass(frozen=True)
class InputSpec:
    """Kind and shape of one input, without the batch: "image" (C, H, W), "vector" (D,)."""

    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FieldSpec:
    """What a label field holds: "class" (int64 [B], `num_classes` of them, named) or "real" (float32 [B, ...])."""

    kind: str
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """Model inputs [B, ...] of one dataset. The name lets a per-dataset stem find its own."""

    values: Tensor | Mapping[str, Tensor]
    dataset: str

    def to(self, device: torch.device) -> "Inputs":
        """Return the same inputs on `device`."""
        return Inputs(move(self.values, device), self.dataset)


@dataclass(frozen=True)
class Sample:
    """Rows of a dataset: inputs [B, ...] and its label fields by name, each [B, ...]."""

    inputs: Tensor | Mapping[str, Tensor]
    fields: Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Rows of one dataset with the targets of the tasks that have a label in it.

    `targets` and `counts` (labelled samples, tokens or pixels) are keyed by task; a task without any label is left out.
    """

    inputs: Inputs
    targets: Mapping[str, Tensor]
    counts: Mapping[str, int]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that have a label here."""
        return tuple(self.targets)

    @property
    def rows(self) -> int:
        """Number of samples, labelled or not."""
        values = self.inputs.values
        return len(values if isinstance(values, Tensor) else next(iter(values.values())))


def move(values: Tensor | Mapping[str, Tensor], device: torch.device) -> Tensor | dict[str, Tensor]:
    """Return the tensor, or each tensor of the mapping, on `device`."""
    if isinstance(values, Tensor):
        return values.to(device, non_blocking=True)
    return {name: value.to(device, non_blocking=True) for name, value in values.items()}


def labelled(target: Tensor) -> Tensor:
    """True where a label entry is present, in the shape of `target`."""
    return ~torch.isnan(target) if target.is_floating_point() else target != MISSING_CLASS
