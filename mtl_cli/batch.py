"""What a dataset hands to the model: specs, samples and batches."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

MISSING_CLASS = -100
"""An integer label that is missing; torch's own `ignore_index`. A missing float label is NaN."""
ROW_INPUTS = ("numeric", "categorical")
"""Inputs of a text_table that a row has once, whatever the length of its text."""


@dataclass(frozen=True)
class InputSpec:
    """Kind and shape of one input, without the batch.

    "image": float32 (C, H, W). "vector": float32 (D,). "table": a mapping of `numeric` float32 [B, N] and `categorical`
    int64 [B, M], shape (N + M,), with the number of categories of each categorical column, the unknown one included.
    "text": a mapping of `ids` int64 [B, L] and `mask` bool [B, L], True where a piece is real, of any length L: shape
    (), with the size of the vocabulary as the one number of categories; `pretrained` is the model that it belongs to.
    "text_table": a mapping that holds what those of a text and of a table hold; `table` is the spec of the latter.
    """

    kind: str
    shape: tuple[int, ...]
    categories: tuple[int, ...] = ()
    pretrained: str | None = None
    table: "InputSpec | None" = None


@dataclass(frozen=True)
class FieldSpec:
    """What a label field holds, by kind.

    "class" int64 [B], one of `num_classes`; "ordinal" the same, in order; "multilabel" float32 [B, num_classes];
    "real" float32 [B] or [B, D], scaled by `mean` and `std` (in the target's own unit, one a column) where they are
    given; "count" float32 [B], its rate relative to `mean`; "survival" float32 [B, 2], time and event (1) or censoring
    (0); "ranking" float32 [B, 2], relevance and the number of the group; "tokens" int64 [B, L], a class at the first
    piece of each word, −100 elsewhere.

    `counts` are the training split's labels by class, `columns` the columns that the field was read from.
    """

    kind: str
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class WantedField:
    """A label field that a task needs: its kind, and what the task's node says of how it is read.

    `kind` is one of a dataset's targets, such as "binary"; None where the class of the task does not say. `reading` may
    hold `column` or `columns`, `classes`, `missing` and `unseen`, as a dataset's `targets` do; without a column the
    field is the column of its own name.
    """

    name: str
    task: str
    kind: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def node(self) -> dict[str, Any]:
        """The same as an entry of a dataset's `targets`."""
        has_column = "column" in self.reading or "columns" in self.reading
        return {"kind": self.kind, **({} if has_column else {"column": self.name}), **self.reading}


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

    def pin_memory(self) -> "Sample":
        """Return the same rows in page-locked memory, for quick copies to a GPU; torch's DataLoader calls this."""
        inputs = self.inputs
        pinned = (
            inputs.pin_memory()
            if isinstance(inputs, Tensor)
            else {name: value.pin_memory() for name, value in inputs.items()}
        )
        return Sample(pinned, {name: field.pin_memory() for name, field in self.fields.items()})


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


def with_statistics(field: FieldSpec, labels: Tensor) -> FieldSpec:
    """Return the spec with what its dataset left open: `counts` of the training `labels` [N, ...], a count's `mean`."""
    if field.kind in ("class", "ordinal") and not field.counts:
        numbers = torch.bincount(labels[labelled(labels)], minlength=field.num_classes)
        return replace(field, counts=tuple(numbers.tolist()))
    if field.kind == "multilabel" and not field.counts:
        return replace(field, counts=tuple(labels.nansum(dim=0).long().tolist()))
    if field.kind == "count" and not field.mean:
        mean = float(labels.double().nanmean())
        return replace(field, mean=(mean,)) if mean > 0 else field
    return field
