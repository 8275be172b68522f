"""Rows of different lengths in one flat array."""

from collections.abc import Sequence

import numpy as np


class Ragged:
    """Rows of integers: row i is `values[offsets[i] : offsets[i + 1]]`; offsets int64 [N + 1]."""

    def __init__(self, values: np.ndarray, offsets: np.ndarray) -> None:
        self.values, self.offsets = values, offsets

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """Return one row."""
        return np.asarray(self.values[self.offsets[row] : self.offsets[row + 1]])

    @property
    def lengths(self) -> np.ndarray:
        """Length of each row, int64 [N]."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> "Ragged":
        """Return some rows, in that order."""
        lengths = self.lengths[rows]
        return Ragged(self.values[places(self.offsets[:-1][rows], lengths)], starts_of(lengths))

    def padded(self, rows: np.ndarray, fill: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows int64 [B, L], filled up with `fill` to the longest, and where they are real, bool [B, L]."""
        lengths = self.lengths[rows]
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        out = np.full(mask.shape, fill, dtype=np.int64)
        out[mask] = self.values[places(self.offsets[:-1][rows], lengths)]
        return out, mask

    def cut(self, length: int) -> "Ragged":
        """Return the first `length` values of each row."""
        lengths = self.lengths
        if lengths.max(initial=0) <= length:
            return self
        kept = np.minimum(lengths, length)
        return Ragged(self.values[places(self.offsets[:-1], kept)], starts_of(kept))

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], dtype: type = np.int32) -> "Ragged":
        """Return rows given as sequences."""
        lengths: np.ndarray = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
        values: np.ndarray = np.fromiter(
            (value for row in rows for value in row), dtype=dtype, count=int(lengths.sum())
        )
        return cls(values, starts_of(lengths))

    @classmethod
    def constant(cls, row: Sequence[int], rows: int) -> "Ragged":
        """Return the same row `rows` times."""
        return cls(np.tile(np.array(row, dtype=np.int32), rows), np.arange(rows + 1, dtype=np.int64) * len(row))


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Return the offsets int64 [N + 1] of rows of these lengths [N]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def places(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the places start … start + length - 1 of each row, one row after another."""
    offsets = starts_of(lengths)
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)


def side_by_side(parts: Sequence[Ragged]) -> Ragged:
    """Return rows that hold the values of each part's row, one part after another."""
    lengths = np.stack([part.lengths for part in parts])  # [parts, N]
    offsets = starts_of(lengths.sum(axis=0))
    out = np.empty(offsets[-1], dtype=np.int32)
    at = offsets[:-1].copy()
    for part, own in zip(parts, lengths, strict=True):
        out[places(at, own)] = part.values
        at += own
    return Ragged(out, offsets)


def stacked(parts: Sequence[Ragged]) -> Ragged:
    """Return the rows of each part, one part after another."""
    values = np.concatenate([np.empty(0, dtype=np.int32), *(part.values for part in parts)])
    return Ragged(values, starts_of(np.concatenate([np.empty(0, dtype=np.int64), *(part.lengths for part in parts)])))
