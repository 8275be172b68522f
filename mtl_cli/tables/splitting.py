"""Which rows are for training, validation and test: by fraction, fold, group or column; always the same for a seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TRAIN, VAL, TEST = 0, 1, 2
NAMES = {
    "train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL, "test": TEST,
}  # fmt: skip
"""What a column of splits may say, in capitals or small letters."""


@dataclass(frozen=True)
class Fractions:
    """Shares of the rows that validation and test get; with `folds`, the test split is the fold `fold` instead."""

    val: float
    test: float
    seed: int
    folds: int | None = None
    fold: int = 0


def by_fraction(num_rows: int, parts: Fractions, strata: np.ndarray | None) -> np.ndarray:
    """Return the split of each row, int8 [N].

    1. Rows are ordered by stratum [N], and within a stratum by a seeded permutation (NumPy's legacy one, whose stream
       is frozen).
    2. Every part takes evenly spaced places of that order. So it has its share of each stratum, give or take one row,
       and exactly its number of rows.
    """
    order = np.random.RandomState(parts.seed).permutation(num_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    split = np.full(num_rows, TRAIN, dtype=np.int8)
    if parts.folds is None:
        held = evenly(num_rows, share(num_rows, parts.test))
    else:
        held = np.arange(num_rows) % parts.folds == parts.fold
    split[order[held]] = TEST
    rest = order[~held]
    split[rest[evenly(len(rest), min(share(num_rows, parts.val), len(rest)))]] = VAL
    return split


def by_group(groups: np.ndarray, parts: Fractions) -> np.ndarray:
    """Return the split of each row, int8 [N], so that all rows of a group [N] are in one split.

    With fractions, a split takes groups in seeded order until it is as near to its share as it gets. With folds, each
    group, the largest first, goes to the fold that is smallest so far.
    """
    sizes = np.bincount(groups)
    order = np.random.RandomState(parts.seed).permutation(len(sizes))
    of_group = np.full(len(sizes), TRAIN, dtype=np.int8)
    if parts.folds is None:
        order = take_groups(of_group, order, sizes, share(len(groups), parts.test), TEST)
    else:
        load = np.zeros(parts.folds, dtype=np.int64)
        fold_of = np.zeros(len(sizes), dtype=np.int64)
        for group in order[np.argsort(-sizes[order], kind="stable")]:
            fold_of[group] = load.argmin()
            load[fold_of[group]] += sizes[group]
        of_group[fold_of == parts.fold] = TEST
        order = order[fold_of[order] != parts.fold]
    take_groups(of_group, order, sizes, share(len(groups), parts.val), VAL)
    return of_group[groups]


def take_groups(of_group: np.ndarray, order: np.ndarray, sizes: np.ndarray, rows: int, split: int) -> np.ndarray:
    """Give groups to a split, in place, until it has about `rows` rows; return the groups that are left."""
    if rows == 0 or not len(order):
        return order
    filled = np.cumsum(sizes[order])
    count = int(np.abs(filled - rows).argmin()) + 1
    of_group[order[:count]] = split
    return order[count:]


def by_id(values: Sequence[str], codes: np.ndarray, parts: Fractions) -> np.ndarray:
    """Return the split of each row, int8 [N], by the hash of its id alone: `codes` [N] number the ids, `values`.

    Rows that are added or taken away do not move others. Shares are met as nearly as chance has it.
    """
    of_id = np.empty(len(values), dtype=np.int8)
    held = parts.test if parts.folds is None else 1.0 / parts.folds
    val = parts.val / max(1.0 - held, parts.val, 1e-9)
    for index, value in enumerate(values):
        digest = hashlib.sha256(f"{parts.seed}\x1f{value}".encode()).digest()
        first, second = (int.from_bytes(digest[start : start + 8], "big") / 2.0**64 for start in (0, 8))
        is_test = first < held if parts.folds is None else int(first * parts.folds) == parts.fold
        of_id[index] = TEST if is_test else VAL if second < val else TRAIN
    return of_id[codes]


def by_time(times: np.ndarray, parts: Fractions) -> np.ndarray:
    """Return the split of each row, int8 [N], from its time [N]: the oldest are trained on, the newest are the test.

    A split has as nearly its share as rows of the same time, which stay together, allow.
    """
    distinct, of_row, sizes = np.unique(times, return_inverse=True, return_counts=True)
    of_time = np.full(len(distinct), TRAIN, dtype=np.int8)
    newest_first = np.arange(len(distinct))[::-1]
    left = take_groups(of_time, newest_first, sizes, share(len(times), parts.test), TEST)
    take_groups(of_time, left, sizes, share(len(times), parts.val), VAL)
    return of_time[of_row]


def by_column(values: Sequence[str], codes: np.ndarray) -> tuple[np.ndarray, int | None]:
    """Return the split of each row, int8 [N], by what a column says, and the first row that names no split, or None."""
    lookup = np.array([*(NAMES.get(value.lower(), -1) for value in values), -1], dtype=np.int8)
    split = lookup[codes]
    bad = np.flatnonzero(split < 0)
    return split, int(bad[0]) if bad.size else None


def evenly(length: int, count: int) -> np.ndarray:
    """Return a mask [length] with `count` evenly spaced places."""
    mask = np.zeros(length, dtype=bool)
    if count:
        mask[((np.arange(count) + 0.5) * length / count).astype(np.int64)] = True
    return mask


def share(rows: int, fraction: float) -> int:
    """Return how many of `rows` a fraction is: the nearest number, at least 1 unless the fraction is 0."""
    return max(1, round(rows * fraction)) if fraction else 0
