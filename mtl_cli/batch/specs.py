"""What inputs and label fields are, without the batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MISSING_CLASS = -100
"""An integer label that is missing; torch's own `ignore_index`. A missing float label is NaN."""


IMAGE, THERE = "image", "there"
"""Inputs of an image_row: the image, and whether anything beside it is known."""
ROW_INPUTS = ("numeric", "categorical", IMAGE, THERE)
"""Inputs beside a text that each row has once, however long its text is."""


@dataclass(frozen=True)
class InputSpec:
    """Kind and shape of one input, without the batch.

    "image": float32 (C, H, W). "vector": float32 (D,). "table": a mapping of `numeric` float32 [B, N] and `categorical`
    int64 [B, M], shape (N + M,), with the number of categories of each categorical column, the unknown one included.
    "text": a mapping of `ids` int64 [B, L] and `mask` bool [B, L], True where a piece is real, of any length L: shape
    (), with the size of the vocabulary as the one number of categories; `pretrained` is the model that it belongs to.
    "text_table": a mapping with the keys of a text and those of a table; `table` is the spec of the table. "sound": a
    mapping of `frames` float32 [B, L, D] and `mask` bool [B, L], True where a frame is real: shape (D,), of any length.
    "image_row": a mapping of `image`, as an "image" of the same shape, of the keys of a table and of a text, as far as
    `table` and `text`, their specs, are given, and of `there` float32 [B], 0 for an image that comes without them.
    """

    kind: str
    shape: tuple[int, ...]
    categories: tuple[int, ...] = ()
    pretrained: str | None = None
    table: "InputSpec | None" = None
    text: "InputSpec | None" = None
    any_size: bool = False
    """Whether images are evaluated in sizes of their own, which are not that of training, `shape`."""


FAR = 1000.0
"""Standard deviations between 0 and the mean from which labels are float64: float32 has 7 digits."""


@dataclass(frozen=True)
class FieldSpec:
    """What a label field holds, by kind.

    "class" int64 [B], one of `num_classes`; "ordinal" the same, in order; "multilabel" float32 [B, num_classes];
    "real" float32 [B] or [B, D], scaled by `mean` and `std` (in the target's own unit, one per column) where they are
    given; "count" float32 [B], its rate relative to `mean`; "survival" float32 [B, 2], time and event (1) or censoring
    (0); "ranking" float32 [B, 2], relevance and the number of the group; "tokens" int64 [B, L], a class at the first
    piece of each word, −100 elsewhere; "pieces" int64 [B, L], the `varying` pieces of a text to be written, of which
    the last one is its end, and a number from `num_classes` on is a character that no piece holds.

    Any other kind is a word that a dataset and a kind of task agree on. `varying` fields hold a set of entries per row,
    such as boxes: [B, N, ...] filled up as `pad_sets` does.

    "real", "count" and "survival" are float64 where float32 would lose digits that matter (`far`), such as times in
    milliseconds since 1970.

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
    varying: bool = False
    weights: str = ""
    """The field that holds each row's weight in the loss, float32 [B], 1 on average over the training labels."""
    top: float = 1.0
    """Of "ranking": the highest relevance of the training labels, such as 5 stars; 1 for yes and no, and for shares."""
    overlap: float = 0.0
    """Of "boxes": how much two training boxes of one class rarely overlap by more (intersection over union)."""
    longest: int = 0
    """Of "pieces": entries of the longest training label."""
    copies: bool = False
    """Of "pieces": whether the inputs are pieces of the same numbers, so that they can be copied."""

    @property
    def far(self) -> bool:
        """Whether `mean` is so far from 0, in `std`, that float32 cannot hold the labels well: 1.6e12 ± 3e4."""
        return any(abs(mean) > FAR * std > 0 for mean, std in zip(self.mean, self.std, strict=False))


@dataclass(frozen=True)
class WantedField:
    """A label field that a task needs: its kind, and what the task's node says of how it is read.

    `kind` is one of a dataset's targets, such as "binary"; None where the class of the task does not say. `reading` may
    hold `column` or `columns`, `classes`, `missing`, `ignore_case`, `separator`, `unseen`, `values`, `pieces`,
    `points` and `swapped`, as a dataset's `targets` do; without a column the field is the column of its own name.
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
class InputPlace:
    """Where a part of the inputs lies: the key of their tensor, "" where there is one, and the index in a row.

    Without an index it is the whole row of that tensor.
    """

    key: str = ""
    index: int | None = None


def labelled(target: Tensor) -> Tensor:
    """True where a label entry is present, in the shape of `target`."""
    return ~torch.isnan(target) if target.is_floating_point() else target != MISSING_CLASS
