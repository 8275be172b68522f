"""Groups of rows that an evaluation compares: the values of columns of the data, or bands of their numbers."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mtl_cli.errors import UserError
from mtl_cli.tables.whole_column import WholeColumn

Array = np.ndarray[Any, Any]
MAX_GROUPS = 50
"""Values of a column up to which each is a group."""
MAX_NUMBERS = 10
"""Different numbers of a column up to which each is a group; more are divided into bands."""
BANDS = 4
MISSING = "(missing)"
TIMES = " × "


@dataclass(frozen=True)
class Grouping:
    """Rows by the values of one column, or of several at once: the groups, each made of finest groups."""

    by: str
    groups: dict[str, list[int]]


@dataclass(frozen=True)
class RowGroups:
    """The finest group of each row [N], how many there are, and all groupings."""

    of_row: torch.Tensor
    number: int
    groupings: list[Grouping]


def row_groups(columns: dict[str, WholeColumn]) -> RowGroups:
    """Return the groups of rows by each column, and by all of them at once where there are several.

    Raises:
        UserError: a column has too many values.
    """
    codes, labels = [], []
    for name, column in columns.items():
        own, names = groups_of(name, column)
        codes.append(own)
        labels.append(names)
    found, of_row = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    groupings = [
        Grouping(name, {label: np.flatnonzero(found[:, k] == code).tolist() for code, label in enumerate(labels[k])})
        for k, name in enumerate(columns)
    ]
    if len(columns) > 1:
        together = [TIMES.join(labels[k][code] for k, code in enumerate(row)) for row in found.tolist()]
        groupings.append(Grouping(TIMES.join(columns), {label: [k] for k, label in enumerate(together)}))
    return RowGroups(torch.from_numpy(of_row.reshape(-1).astype(np.int32)), len(found), groupings)


def groups_of(name: str, column: WholeColumn) -> tuple[Array, list[str]]:
    """Return the group of each row [N] and the groups' names, without groups that have no row.

    A column of more than `MAX_NUMBERS` different numbers is divided into bands at its quartiles.

    Raises:
        UserError: a column of text has more than `MAX_GROUPS` values.
    """
    present = np.unique(column.codes[column.codes >= 0])
    if column.numbers is not None and len(np.unique(column.numbers[~np.isnan(column.numbers)])) > MAX_NUMBERS:
        codes, names = bands_of(column.numbers)
    elif len(present) > MAX_GROUPS:
        raise UserError(
            f"by names '{name}', whose rows have {len(present)} different values, such as "
            f"'{column.values[present[0]]}'; up to {MAX_GROUPS} can be compared. Name a coarser column of the data."
        )
    else:
        order = sorted(present.tolist(), key=lambda code: sort_key(column, code))
        places = {code: place for place, code in enumerate(order)}
        codes = np.array([places.get(code, -1) for code in column.codes.tolist()], dtype=np.int64)
        names = [column.values[code] for code in order]
    if (codes < 0).any():
        codes, names = np.where(codes < 0, len(names), codes), [*names, MISSING]
    return codes, names


def sort_key(column: WholeColumn, code: int) -> tuple[float, str]:
    """Return by what groups are ordered: their number, or their text."""
    text = column.values[code]
    return (float(column.numbers[column.codes == code][0]) if column.numbers is not None else 0.0, text)


def bands_of(numbers: Array) -> tuple[Array, list[str]]:
    """Return the band of each number [N], −1 where it is missing, and the bands' names; quartiles divide them."""
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, BANDS) / BANDS, method="inverted_cdf"))
    edges = edges[edges < known.max()]
    codes = np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="left"))
    shown = [f"{edge:g}" for edge in edges]
    inner = [f"> {low} to {high}" for low, high in itertools.pairwise(shown)]
    return codes.astype(np.int64), [f"≤ {shown[0]}", *inner, f"> {shown[-1]}"] if shown else ["all"]
