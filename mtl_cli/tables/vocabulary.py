"""Categories as numbers: one vocabulary per column, from training rows; 0 is every category that it lacks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNKNOWN = 0


@dataclass(frozen=True)
class Vocabulary:
    """The categories of a column, numbered from 1; None stands for a missing cell, where training rows had any."""

    values: tuple[str | None, ...]

    @property
    def size(self) -> int:
        """Number of categories, the unknown one included."""
        return len(self.values) + 1

    def lookup(self, values: Sequence[str]) -> np.ndarray:
        """Return the number of each of `values`, int64 [V + 1]; the last is that of a missing cell (code -1)."""
        number = {value: index for index, value in enumerate(self.values, start=1)}
        return np.array([number.get(value, UNKNOWN) for value in (*values, None)], dtype=np.int64)


def fit_vocabulary(codes: np.ndarray, values: Sequence[str], max_categories: int | None, min_count: int) -> Vocabulary:
    """Return the vocabulary of training rows, the most frequent category first, and ties in alphabetical order.

    Args:
        codes: categories of the training rows [N], -1 where a cell is missing.
        values: what the codes number.
        max_categories: categories kept; None keeps all.
        min_count: training rows that a category needs.
    """
    counts = np.bincount(codes + 1, minlength=len(values) + 1)
    names: list[str | None] = [None, *values]
    kept = np.flatnonzero(counts >= max(1, min_count)).tolist()
    kept.sort(key=lambda index: (-counts[index], names[index] or ""))
    return Vocabulary(tuple(names[index] for index in kept[:max_categories]))
