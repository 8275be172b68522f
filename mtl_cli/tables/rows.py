"""One split of a table: inputs and label fields, fetched by whole batches."""

from collections.abc import Collection, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import LabelledSplit, Sample
from mtl_cli.tables.inputs import InputRows


class StoredRows(LabelledSplit):
    """Rows that stay where the table is, on disk. Each batch is read and encoded when it is fetched.

    Args:
        inputs: the inputs of any row of the table.
        rows: the rows of this split [N].
        fields: labels of this split by field, each [N, ...].
    """

    fixed_size: ClassVar[bool] = True

    def __init__(self, inputs: InputRows, rows: np.ndarray, fields: Mapping[str, Tensor]) -> None:
        self._inputs, self._rows, self._fields = inputs, rows, dict(fields)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        fields = {name: field.index_select(0, indices) for name, field in self._fields.items()}
        return Sample(self._inputs(self._rows[indices.numpy()]), fields)

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N, ...]."""
        return self._fields[field]

    def without(self, fields: Collection[str]) -> "StoredRows":
        """Return the same rows without some fields."""
        return StoredRows(self._inputs, self._rows, left(self._fields, fields))


class EncodedRows(LabelledSplit):
    """Rows that are held as tensors: inputs (one tensor, or several by name) and label fields, each [N, ...]."""

    fixed_size: ClassVar[bool] = True

    def __init__(self, inputs: Mapping[str, Tensor] | Tensor, fields: Mapping[str, Tensor]) -> None:
        self._inputs, self._fields = inputs, dict(fields)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._inputs if isinstance(self._inputs, Tensor) else next(iter(self._inputs.values())))

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        if isinstance(self._inputs, Tensor):
            indices = indices.to(self._inputs.device)
            inputs: Tensor | dict[str, Tensor] = self._inputs.index_select(0, indices)
        else:
            indices = indices.to(next(iter(self._inputs.values())).device)
            inputs = {name: value.index_select(0, indices) for name, value in self._inputs.items()}
        return Sample(inputs, {name: field.index_select(0, indices) for name, field in self._fields.items()})

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N, ...], on the host."""
        return self._fields[field].cpu()

    def to(self, device: torch.device) -> "EncodedRows":
        """Return the same rows with all tensors on `device`."""
        inputs = self._inputs
        moved = inputs.to(device) if isinstance(inputs, Tensor) else {k: v.to(device) for k, v in inputs.items()}
        return EncodedRows(moved, {name: field.to(device) for name, field in self._fields.items()})

    def without(self, fields: Collection[str]) -> "EncodedRows":
        """Return the same rows without some fields."""
        return EncodedRows(self._inputs, left(self._fields, fields))


def left(fields: Mapping[str, Tensor], without: Collection[str]) -> dict[str, Tensor]:
    """Return the fields but for some."""
    return {name: field for name, field in fields.items() if name not in without}
