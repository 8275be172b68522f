"""Numbers as model inputs: missing ones are filled in, then all are scaled, by statistics of the training rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

IMPUTE = ("mean", "median", "zero", "constant")
SCALE = ("standard", "none")
BLOCK_ROWS = 1 << 16
MEDIAN_COLUMNS = 4
"""Number of columns whose medians are found together; they take 32 bytes of memory per row."""


@dataclass(frozen=True)
class Scaler:
    """Statistics of number columns, float64 [columns]: x, or `fill` where it is missing, becomes (x - mean) / std.

    `marked` are the columns that had missing values in training; each gets a column that says so, 1 or 0.
    """

    mean: np.ndarray
    std: np.ndarray
    fill: np.ndarray
    marked: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return inputs float32 [B, columns + marked] of numbers float64 [B, columns], NaN where missing."""
        absent = np.isnan(values)
        values = np.where(absent, self.fill, values)
        scaled = ((values - self.mean) / self.std).astype(np.float32)
        return np.concatenate([scaled, absent[:, self.marked].astype(np.float32)], axis=1)

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.mean) + len(self.marked)

    def state(self) -> dict[str, Any]:
        """Return tensors for a checkpoint."""
        return {name: torch.from_numpy(np.asarray(value)) for name, value in vars(self).items()}

    @classmethod
    def of(cls, state: Mapping[str, Any], width: int) -> "Scaler":
        """Return the scaler of a checkpoint, of `width` columns.

        Raises:
            ValueError: the state is not that of a scaler.
        """
        marked = checked_numbers(state["marked"], len(state["marked"]), "marked", whole=True)
        if any(not 0 <= column < width for column in marked.tolist()):
            raise ValueError(f"marked are {marked.tolist()} of {width} columns")
        mean, std, fill = (checked_numbers(state[name], width, name) for name in ("mean", "std", "fill"))
        if not (std > 0).all():
            raise ValueError(f"std is {std.min():g}; a standard deviation is above 0")
        return cls(mean, std, fill, marked)


def fit_scaler(
    matrix: np.ndarray,
    columns: np.ndarray,
    rows: np.ndarray,
    impute: str,
    constant: float,
    indicators: bool,
    scale: str,
) -> Scaler:
    """Return the scaler of some columns of a matrix float64 [N, …], fitted on `rows` of it.

    Mean and standard deviation are those of the values that are present. A column without any value, or with only one
    distinct value, has standard deviation 1.
    """
    width = len(columns)
    count, total = np.zeros(width), np.zeros(width)
    for block in blocks(matrix, columns, rows):
        count += (~np.isnan(block)).sum(axis=0)
        total += np.nansum(block, axis=0)
    mean = np.divide(total, count, out=np.zeros(width), where=count > 0)
    square = np.zeros(width)
    for block in blocks(matrix, columns, rows):
        square += np.nansum((block - mean) ** 2, axis=0)
    std = np.sqrt(np.divide(square, count, out=np.zeros(width), where=count > 0))
    std = np.where(std > 1e-12 * np.maximum(np.abs(mean), 1e-300), std, 1.0)
    fills = {"mean": mean, "zero": np.zeros(width), "constant": np.full(width, constant)}
    fill = medians(matrix, columns, rows) if impute == "median" else fills[impute]
    marked = np.flatnonzero(count < len(rows)) if indicators else np.zeros(0, dtype=np.int64)
    if scale == "none":
        mean, std = np.zeros(width), np.ones(width)
    return Scaler(mean, std, fill, marked)


def medians(matrix: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the median of each column over the values that are present, 0 where there is none."""
    found = np.zeros(len(columns))
    for start in range(0, len(columns), MEDIAN_COLUMNS):
        part = columns[start : start + MEDIAN_COLUMNS]
        values = np.concatenate([np.empty((0, len(part))), *blocks(matrix, part, rows)])
        for index in range(len(part)):
            present = values[:, index][~np.isnan(values[:, index])]
            found[start + index] = np.median(present) if present.size else 0.0
    return found


def blocks(matrix: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield some columns of `rows` of a matrix, a block of rows at a time."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield matrix[rows[start : start + BLOCK_ROWS]][:, columns]


def checked_numbers(value: object, length: int, name: str, whole: bool = False) -> np.ndarray:
    """Return a tensor [length] of a checkpoint as an array; `whole` are integers.

    Raises:
        ValueError: it is not a tensor, or has another shape or type.
    """
    if not isinstance(value, Tensor) or value.shape != (length,) or value.is_floating_point() == whole:
        found = f"of shape {list(value.shape)}" if isinstance(value, Tensor) else repr(value)[:40]
        raise ValueError(f"{name} is {found}, not {length} numbers")
    return value.numpy()
