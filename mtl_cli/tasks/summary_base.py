"""What training must know of a field's labels: fitted in one pass over the training split, kept in checkpoints."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, FieldSpec, labelled
from mtl_cli.seeding import generator

KEPT = 2**20
"""Labels that are kept for a median; of more, a seeded sample of that size."""


class LabelSummary:
    """The number of rows and labelled rows of one field; kinds of task add what they need.

    A subclass extends `take`, which sees every batch of labels once, and `tensors`, which names what it has counted.
    `marks` and `problem` need no instance: they also look at the labels of other splits.
    """

    def __init__(self, field: FieldSpec) -> None:
        self.field = field
        self.num_rows = 0
        self.num_labelled = 0
        """Rows with a label."""

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True where a label is present in `labels` [B, ...]: one mark per label, [B] or [B, ...]."""
        return labelled(labels)

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return what is wrong with `labels` [B, ...] for this kind of task, in words, or None."""
        return None

    def add(self, labels: Tensor) -> None:
        """Take in the labels of the next rows [B, ...]."""
        marks = self.marks(labels)
        self.num_rows += len(labels)
        self.num_labelled += int(labelled_rows(marks).sum())
        self.take(labels, marks)

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Count what this kind needs of labels [B, ...] and their marks; nothing by default."""

    @property
    def fully_labelled(self) -> bool:
        """Whether every row has a label."""
        return self.num_labelled == self.num_rows

    def spec(self) -> FieldSpec:
        """Return the field's spec with what its dataset left open."""
        return self.field

    def tensors(self) -> dict[str, Tensor]:
        """Return what was counted, by attribute, for a checkpoint."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return the summary as tensors and plain data."""
        return {"num_rows": self.num_rows, "num_labelled": self.num_labelled, **self.tensors()}

    @classmethod
    def of(cls, field: FieldSpec, state: Mapping[str, Any]) -> Self:
        """Return the summary of a checkpoint.

        Raises:
            ValueError: it is not one of this kind.
        """
        found = cls(field)
        known = found.tensors()
        if set(state) != {"num_rows", "num_labelled", *known}:
            raise ValueError(f"it holds {', '.join(map(str, state))[:80]}")
        for name, before in known.items():
            value = state[name]
            if not isinstance(value, Tensor) or value.shape != before.shape or value.dtype != before.dtype:
                raise ValueError(f"{name} is {str(value)[:40]}")
            setattr(found, name, value.clone())
        counts = state["num_rows"], state["num_labelled"]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"it counts {str(counts)[:40]} rows")
        found.num_rows, found.num_labelled = counts
        return found


def labelled_rows(marks: Tensor) -> Tensor:
    """Return which rows [B] have a label, from marks [B, ...]."""
    return marks if marks.ndim == 1 else marks.flatten(1).any(dim=1)


class ClassCounts(LabelSummary):
    """Labels by class, of fields that hold integers of any shape; fills in `FieldSpec.counts`."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.histogram = torch.zeros(field.num_classes, dtype=torch.int64)  # [C]

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a label is not the number of a class."""
        wrong = labels[(labels != MISSING_CLASS) & ((labels < 0) | (labels >= field.num_classes))]
        return f"holds the class {int(wrong[0])}, but has {field.num_classes} classes" if len(wrong) else None

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Count the classes."""
        self.histogram += torch.bincount(labels[marks], minlength=self.field.num_classes)

    def spec(self) -> FieldSpec:
        """Return the spec with the number of labels of each class."""
        return self.field if self.field.counts else replace(self.field, counts=tuple(self.histogram.tolist()))

    def tensors(self) -> dict[str, Tensor]:
        """Return the histogram."""
        return {"histogram": self.histogram}

    @property
    def log_frequencies(self) -> Tensor:
        """Logarithms of the classes' shares [C]: what always says the most frequent class."""
        counts = self.histogram.float()
        return torch.log((counts + 1e-6) / counts.sum().clamp(min=1.0))


class Numbers(LabelSummary):
    """Floats [B] or [B, D], all finite; of fields without a shape also [B, ...], as one column."""

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a label is infinite."""
        return "holds an infinite value" if bool(labels.isinf().any()) else None


class Totals(Numbers):
    """Number and sum of the labels of each column, in float64."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.count = torch.zeros(self.width(field), dtype=torch.int64)  # [D]
        self.total = torch.zeros(self.width(field), dtype=torch.float64)  # [D]

    @staticmethod
    def width(field: FieldSpec) -> int:
        """Return D, the number of columns."""
        return torch.Size(field.shape).numel()

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Add up the columns."""
        columns = labels.reshape(-1, len(self.count))
        self.count += (~torch.isnan(columns)).sum(dim=0)
        self.total += columns.double().nansum(dim=0)

    def tensors(self) -> dict[str, Tensor]:
        """Return number and sum of each column."""
        return {"count": self.count, "total": self.total}

    @property
    def mean(self) -> Tensor:
        """Mean of each column [D], float64; NaN for one without a label."""
        return self.total / self.count


class LogTotals(Numbers):
    """Number, sum and sum of squares of the logarithms of each column's labels, which are above 0; in float64."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        self.sums = torch.zeros(3, torch.Size(field.shape).numel(), dtype=torch.float64)  # [3, D]

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a label is 0, negative or infinite."""
        wrong = labels[(labels <= 0) | labels.isinf()]
        return f"holds {wrong[0]:g}; a log scale is for numbers above 0" if len(wrong) else None

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Add up the columns."""
        logs = labels.reshape(-1, self.sums.shape[1]).double().log()
        self.sums += torch.stack([(~logs.isnan()).double().sum(0), logs.nansum(0), (logs**2).nansum(0)])

    def tensors(self) -> dict[str, Tensor]:
        """Return the three sums."""
        return {"sums": self.sums}

    @property
    def mean(self) -> Tensor:
        """Mean of the logarithms of each column [D]; NaN for one without a label."""
        return self.sums[1] / self.sums[0]

    def spec(self) -> FieldSpec:
        """Return the spec with mean and standard deviation of the logarithms."""
        std = (self.sums[2] / self.sums[0] - self.mean**2).nan_to_num().clamp(min=0.0).sqrt()
        return replace(self.field, mean=tuple(self.mean.nan_to_num().tolist()), std=tuple(std.tolist()))


class Medians(Numbers):
    """The median of each column, of all labels up to `KEPT`, of a seeded sample of rows beyond that."""

    def __init__(self, field: FieldSpec) -> None:
        super().__init__(field)
        exact = torch.float64 if field.far else torch.float32
        self._medians = torch.full((torch.Size(field.shape).numel(),), torch.nan, dtype=exact)  # [D]
        self._kept: list[Tensor] = []
        self._keys: list[Tensor] = []

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Keep the labels, at most twice `KEPT`."""
        columns = labels.reshape(-1, len(self._medians))
        self._kept.append(columns)
        self._keys.append(torch.rand(len(columns), generator=generator("median", self.num_rows), dtype=torch.float64))
        if sum(map(len, self._keys)) * columns.shape[1] > 2 * KEPT:
            self._thin()

    @property
    def medians(self) -> Tensor:
        """Median of each column [D]; NaN for one without a label."""
        if self._kept:
            self._thin()
            return self._kept[0].nanmedian(dim=0).values
        return self._medians

    @medians.setter
    def medians(self, values: Tensor) -> None:
        self._medians = values

    def tensors(self) -> dict[str, Tensor]:
        """Return the median of each column."""
        return {"medians": self.medians}

    def _thin(self) -> None:
        """Leave the rows with the smallest keys, at most `KEPT` labels in all."""
        values, keys = torch.cat(self._kept), torch.cat(self._keys)
        most = max(1, KEPT // values.shape[1])
        if len(values) > most:
            chosen = torch.topk(keys, most, largest=False).indices
            values, keys = values[chosen], keys[chosen]
        self._kept, self._keys = [values], [keys]
