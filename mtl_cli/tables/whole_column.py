"""A column of a file as it stands, for the rows of a split, whether it is an input or not."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.place import Place

if TYPE_CHECKING:
    from mtl_cli.tables.reading import TableFile


@dataclass(frozen=True)
class WholeColumn:
    """Cells as codes int64 [N] of their `values`, −1 where one is missing, and as numbers [N] where all of them are."""

    codes: "np.ndarray[Any, Any]"
    values: tuple[str, ...]
    numbers: "np.ndarray[Any, Any] | None" = None

    def at(self, rows: "np.ndarray[Any, Any]") -> "WholeColumn":
        """Return the column at some rows [N]."""
        return WholeColumn(self.codes[rows], self.values, None if self.numbers is None else self.numbers[rows])


def column_of_values(codes: "np.ndarray[Any, Any]", values: Sequence[str]) -> WholeColumn:
    """Return a column from codes and values; it is one of numbers where every value is."""
    try:
        found = np.array([*map(float, values), np.nan])
    except ValueError:
        return WholeColumn(codes.astype(np.int64), tuple(values))
    return WholeColumn(codes.astype(np.int64), tuple(values), found[codes] if len(values) else None)


def read_column(file: "TableFile", name: str) -> WholeColumn:
    """Return a column of a table, read from its file; it is one of numbers where every cell is.

    Raises:
        UserError: the file cannot be read, or its cells are neither text nor numbers.
    """
    from mtl_cli.tables.cells import category_cells, number_cells  # needs pyarrow, which other columns do not

    how, known = file.options.notation, dict[str, int]()
    codes: list[np.ndarray[Any, Any]] = []
    numbers: list[np.ndarray[Any, Any]] = []
    for first, batch in file.batches([name]):
        place = Place(file.path, name, first)
        local, values = category_cells(batch.column(name), how, place)
        lookup = np.array([*(known.setdefault(value, len(known)) for value in values), -1], dtype=np.int64)
        codes.append(lookup[local])
        with contextlib.suppress(UserError):  # then it is a column of text
            numbers.append(number_cells(batch.column(name), how, place))
    whole = np.concatenate(codes) if codes else np.empty(0, dtype=np.int64)
    complete = len(numbers) == len(codes) and len(known) > 0
    return WholeColumn(whole, tuple(known), np.concatenate(numbers) if complete else None)
