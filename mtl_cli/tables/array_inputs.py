"""Rows of one array as model inputs: vectors or images, scaled by statistics of the training rows."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputSpec, LabelledSplit, Sample
from mtl_cli.errors import UserError
from mtl_cli.tables.array_files import Unchanged, infinite
from mtl_cli.tables.place import Place
from mtl_cli.tables.rows import left
from mtl_cli.tables.scaling import checked_numbers

BLOCK_VALUES = 1 << 22
MAX_VALUES = 1 << 28
"""Most numbers that a row may have by the shape in a checkpoint."""

MAX_MEAN = 16
"""Deviations up to which a mean may be away from 0 where rows are scaled in float32: inputs are off by 1e-6 at most."""


@dataclass(frozen=True)
class ArrayInputs:
    """Shape of a row, and mean and standard deviation of each feature of a vector or channel of an image, float64."""

    shape: tuple[int, ...]
    mean: np.ndarray
    std: np.ndarray

    @property
    def spec(self) -> InputSpec:
        """A vector (D,), or an image (C, H, W)."""
        return InputSpec("vector" if len(self.shape) == 1 else "image", self.shape)

    def __call__(self, values: np.ndarray) -> Tensor:
        """Return inputs float32 [B, *shape] of rows [B, ...]; a missing number (NaN) becomes the mean.

        Rows of float32 are scaled in float32, in a fifth of the time, unless a mean is large beside its deviation, so
        that digits would be lost.
        """
        rows = values.reshape(len(values), *self.shape)
        if rows.dtype == np.float32 and self._narrow is not None:
            own = rows if rows.flags.writeable else rows.copy()  # torch warns of what it may not write to
            scaled = torch.addcmul(self._narrow[0], torch.from_numpy(own), self._narrow[1])
        else:
            exact = torch.from_numpy(rows.astype(np.float64))
            scaled = exact.sub_(self._wide(self.mean)).div_(self._wide(self.std)).float()
        return scaled.nan_to_num_(nan=0.0) if math.isnan(scaled.sum()) else scaled

    @cached_property
    def _narrow(self) -> tuple[Tensor, Tensor] | None:
        """What float32 rows are shifted and multiplied by; None where that would lose digits."""
        if (np.abs(self.mean) > MAX_MEAN * self.std).any():
            return None
        return self._wide(-self.mean / self.std).float(), self._wide(1 / self.std).float()

    def _wide(self, statistics: np.ndarray) -> Tensor:
        """Return numbers by feature or channel in the shape that rows take them."""
        return torch.from_numpy(statistics).reshape(-1, *[1] * (len(self.shape) - 1))

    def state(self) -> dict[str, Any]:
        """Return tensors and plain data for a checkpoint."""
        return {"shape": list(self.shape), "mean": torch.from_numpy(self.mean), "std": torch.from_numpy(self.std)}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "ArrayInputs":
        """Return the inputs of a checkpoint.

        Raises:
            ValueError: the state is not that of inputs.
        """
        shape = state["shape"]
        sizes = isinstance(shape, list) and all(type(size) is int and size > 0 for size in shape)
        if not sizes or len(shape) not in (1, 3) or math.prod(shape) > MAX_VALUES:
            raise ValueError(f"the shape of a row is {str(shape)[:40]}")
        return cls(tuple(shape), *(checked_numbers(state[name], shape[0], name) for name in ("mean", "std")))


class ArrayRows(LabelledSplit):
    """Rows that stay where the array is, such as on disk. Each batch is read and scaled when it is fetched.

    `unchanged` is called before each batch and raises where the array's file is another one by now.
    """

    fixed_size: ClassVar[bool] = True

    def __init__(
        self,
        array: np.ndarray,
        inputs: ArrayInputs,
        rows: np.ndarray,
        fields: Mapping[str, Tensor],
        unchanged: Unchanged | None = None,
    ) -> None:
        self._array, self._inputs, self._rows, self._fields = array, inputs, rows, dict(fields)
        self._unchanged = unchanged

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        if self._unchanged is not None:
            self._unchanged()
        fields = {name: field.index_select(0, indices) for name, field in self._fields.items()}
        rows = np.take(self._array, self._rows[indices.numpy()], axis=0)  # takes a third of the time of array[rows]
        return Sample(self._inputs(rows), fields)

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N, ...]."""
        return self._fields[field]

    def without(self, fields: Collection[str]) -> "ArrayRows":
        """Return the same rows without some fields."""
        return ArrayRows(self._array, self._inputs, self._rows, left(self._fields, fields), self._unchanged)


def row_shape(array: np.ndarray, place: Place) -> tuple[int, ...]:
    """Return the shape of a row as a model input: [N] and [N, D] are vectors, [N, H, W] and [N, C, H, W] images.

    Raises:
        UserError: the array is of another shape, or holds no numbers.
    """
    if array.dtype.kind not in "iufb":
        raise UserError(f"{place.path}, array '{place.column}' is of type {array.dtype}; inputs are numbers.")
    if array.ndim not in (1, 2, 3, 4) or 0 in array.shape[1:]:
        raise UserError(
            f"{place.path}, array '{place.column}' has shape {array.shape}; "
            "inputs are [N, D], [N, H, W] or [N, C, H, W]."
        )
    return {1: (1,), 3: (1, *array.shape[1:])}.get(array.ndim, tuple(array.shape[1:]))


def check_finite(array: np.ndarray, place: Place) -> None:
    """Refuse infinite inputs; the array is read block by block.

    Raises:
        UserError: an input is infinite; it names the first such row.
    """
    if array.dtype.kind != "f":
        return
    for start, block in row_blocks(array, np.arange(len(array))):
        if (bad := np.isinf(block).reshape(len(block), -1).any(axis=1)).any():
            raise infinite(place, start + int(bad.argmax()))


def fit_array(array: np.ndarray, shape: tuple[int, ...], rows: np.ndarray, scale: str) -> ArrayInputs:
    """Return the inputs of an array, fitted on some of its rows; NaN is left out; a constant has deviation 1."""
    if scale == "none":
        return ArrayInputs(shape, np.zeros(shape[0]), np.ones(shape[0]))
    axes = (0, *range(2, len(shape) + 1))
    count, total, square = (np.zeros(shape[0]) for _ in range(3))
    for _, block in row_blocks(array, rows):
        values = block.reshape(len(block), *shape).astype(np.float64)
        count += (~np.isnan(values)).sum(axis=axes)
        total += np.nansum(values, axis=axes)
    mean = np.divide(total, count, out=np.zeros(shape[0]), where=count > 0)
    wide = (-1, *[1] * (len(shape) - 1))
    for _, block in row_blocks(array, rows):
        values = block.reshape(len(block), *shape).astype(np.float64)
        square += np.nansum((values - mean.reshape(wide)) ** 2, axis=axes)
    std = np.sqrt(np.divide(square, count, out=np.zeros(shape[0]), where=count > 0))
    return ArrayInputs(shape, mean, np.where(std > 1e-12 * np.maximum(np.abs(mean), 1e-300), std, 1.0))


def row_blocks(array: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks of some rows of an array, each a few million values, with the place of its first row."""
    size = max(1, BLOCK_VALUES // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(rows), size):
        yield start, array[rows[start : start + size]]


def expected_shape(inputs: ArrayInputs, shape: tuple[int, ...], path: Path) -> None:
    """Refuse rows whose shape is not that of the training rows.

    Raises:
        UserError: the shapes differ.
    """
    if shape != inputs.shape:
        raise UserError(f"{path} has rows of shape {shape}; those of the training file have {inputs.shape}.")
