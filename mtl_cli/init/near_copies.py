"""Rows that are copies of others but for a little: one number that is nearly the same, or capitals and spaces."""

from collections.abc import Mapping, Sequence

import numpy as np

from mtl_cli.init.guess import MIN_ROWS
from mtl_cli.init.probe import Cells
from mtl_cli.init.repeated import FEWEST, MANY_COPIES

JITTER = 0.02
"""Deviations of a column by which two of its numbers differ at most to be nearly the same."""
APART = 0.5
"""Correlation of ranks from which on a column may follow from another, as a rounded one does."""
MOST_TRIED = 64
"""Columns of numbers that are tried: each takes a sort of the rows."""
TWIN = "A copy in the training rows answers its twin in the test split: leave one of each in the file"


def nearly_copied_rows(columns: Mapping[str, Cells], targets: Sequence[np.ndarray]) -> list[str]:
    """Return that many rows differ from others in one number, by little, or in capitals and spaces alone.

    Args:
        columns: inputs, in the first rows.
        targets: codes of the targets.
    """
    rows = min((len(codes) for codes in [*targets, *(cells.codes for cells in columns.values())]), default=0)
    fewest = max(FEWEST, MANY_COPIES * rows)
    if rows < MIN_ROWS or len(columns) < 2:
        return []
    own = {name: hashes(folded(cells)[:rows], place) for place, (name, cells) in enumerate(columns.items())}
    written = [hashes(cells.codes[:rows], place) for place, cells in enumerate(columns.values())]
    labels = [hashes(codes[:rows], -1 - place) for place, codes in enumerate(targets)]
    whole, as_written = (np.sum([*each, *labels], axis=0, dtype=np.uint64) for each in (own.values(), written))
    notes = []
    if (alike := len(np.unique(as_written)) - len(np.unique(whole))) >= fewest:
        notes.append(f"{alike} of {rows} rows differ from earlier ones in capitals or spaces alone. {TWIN}")
    numeric = {name: cells.numbers[:rows] for name, cells in columns.items() if cells.numbers is not None}
    for name, numbers in list(numeric.items())[:MOST_TRIED]:
        if not any(is_apart(numbers, each) for other, each in numeric.items() if other != name):
            continue
        if (near := near_rows(whole - own[name], numbers)) >= fewest:
            notes.append(f"{near} of {rows} rows are nearly the same as others: only {name} differs, by little. {TWIN}")
            break
    return notes


def is_apart(numbers: np.ndarray, other: np.ndarray) -> bool:
    """Return whether most values of another column [n] come once, and do not follow from the numbers [n]."""
    both = ~np.isnan(numbers) & ~np.isnan(other)
    one, other = numbers[both], other[both]
    if len(np.unique(other)) <= len(other) / 2 or not one.std() or not other.std():
        return False
    return bool(abs(np.corrcoef(one.argsort().argsort(), other.argsort().argsort())[0, 1]) < APART)


def near_rows(rest: np.ndarray, numbers: np.ndarray) -> int:
    """Return how many rows have a number [n] near that of another row whose `rest` [n], a hash, is the same.

    None have where half of the rows share their rest: then columns are few or hold few values.
    """
    known = ~np.isnan(numbers)
    rest, numbers = rest[known], numbers[known]
    if len(rest) < MIN_ROWS or not len(rest) / 2 < len(np.unique(rest)) < len(rest):
        return 0
    order = np.lexsort((numbers, rest))
    steps = np.diff(numbers[order])
    same = np.diff(rest[order]) == 0
    return int((same & (steps > 0) & (steps <= JITTER * numbers.std())).sum())


def folded(cells: Cells) -> np.ndarray:
    """Return codes [n] by which texts that differ in capitals and spaces alone are one."""
    if not cells.values:
        return cells.codes
    number: dict[str, int] = {}
    lookup = [number.setdefault("".join(value.split()).casefold(), len(number)) for value in cells.values]
    return np.array([*lookup, -1])[cells.codes]


def hashes(codes: np.ndarray, column: int) -> np.ndarray:
    """Return 64 random bits for each code [n] of a column (splitmix64)."""
    mixed = codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64((column * 0xD1342543DE82EF95) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
