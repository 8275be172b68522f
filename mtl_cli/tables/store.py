"""A table that has been read: numbers and category codes in matrices, in memory or memory-mapped from a cache."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mtl_cli.tables.arrow import pa
from mtl_cli.tables.mapped import Matrix
from mtl_cli.tables.place import Place

ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Which columns are read as numbers, as dates (days since 1970) and as text; a column may be text too.

    `missing` are, by column, values that stand for a missing cell in addition to those of all columns. `rounded` are
    numbers and dates that are inputs and nothing else: on disk they are float32, which is what a model sees.
    """

    numbers: tuple[str, ...]
    dates: tuple[str, ...]
    texts: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rounded: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Every column, once."""
        return list(dict.fromkeys((*self.numbers, *self.dates, *self.texts)))

    @property
    def exact(self) -> tuple[str, ...]:
        """Numbers and dates whose digits all count: labels, weights, times."""
        return tuple(name for name in (*self.numbers, *self.dates) if name not in self.rounded)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in memory."""
        return 8 * (len(self.numbers) + len(self.dates)) + 4 * len(self.texts)


@dataclass(frozen=True)
class Cells:
    """What the rows of a table hold.

    `rounded` [N, columns] are x − `centre`, float32 on disk and float64 in memory; `exact` float64 [N, columns]; NaN is
    a missing number. `codes` are whole numbers [N, columns], -1 where a cell is missing; `values` are, for each column
    of them, the distinct values that they number, as an Arrow array.
    """

    rounded: Matrix
    centre: np.ndarray
    exact: Matrix
    codes: Matrix
    values: "Sequence[pa.Array]"


class Table:
    """Rows of a file."""

    fitted = False
    """Whether they are read for a model that is there already, so that messages name no options of a dataset."""
    first_row = 0
    """Its number in the file."""

    def __init__(self, path: Path, layout: Layout, cells: Cells) -> None:
        self.path, self.layout, self.cells = path, layout, cells
        self.codes, self.values = cells.codes, cells.values
        self._rounded_at = {name: index for index, name in enumerate(layout.rounded)}
        self._exact_at = {name: index for index, name in enumerate(layout.exact)}
        self._text_at = {name: index for index, name in enumerate(layout.texts)}

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.codes)

    def numbers_of(self, names: Sequence[str]) -> "NumberColumns":
        """Return columns of numbers and dates as a matrix."""
        rounded = [self._rounded_at.get(name, -1) for name in names]
        exact = [self._exact_at.get(name, -1) for name in names]
        return NumberColumns(self, np.array(rounded, dtype=np.int64), np.array(exact, dtype=np.int64))

    def text_places(self, names: Sequence[str]) -> np.ndarray:
        """Return where columns stand in `codes`."""
        return np.array([self._text_at[name] for name in names], dtype=np.int64)

    def has(self, name: str) -> bool:
        """True for a column that was read."""
        return name in self._rounded_at or name in self._exact_at or name in self._text_at

    def number(self, name: str) -> np.ndarray:
        """Return the numbers of a column, float64 [N]."""
        if (at := self._exact_at.get(name)) is not None:
            return np.asarray(self.cells.exact[:, at])
        at = self._rounded_at[name]
        return np.asarray(self.cells.rounded[:, at]).astype(np.float64) + self.cells.centre[at]

    def text(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return the codes of a column, int64 [N], and the values that they number."""
        at = self._text_at[name]
        return self.codes[:, at].astype(np.int64), self.values[at].to_pylist()

    def place(self, name: str) -> Place:
        """Return where a column stands, for messages."""
        return Place(self.path, name, self.first_row, self.fitted)

    def parts(self) -> "Iterator[Table]":
        """Yield all rows, some at a time, so that what is computed of them takes little memory."""
        cells = self.cells
        for start in range(0, max(1, len(self)), ROWS_AT_ONCE):
            own = slice(start, start + ROWS_AT_ONCE)
            of_part = replace(cells, rounded=cells.rounded[own], exact=cells.exact[own], codes=cells.codes[own])
            part = Table(self.path, self.layout, of_part)
            part.first_row, part.fitted = start, self.fitted
            yield part

    def for_model(self) -> "Table":
        """Return the table as one that is read for a model that is there already."""
        found = copy.copy(self)
        found.fitted = True
        return found


class NumberColumns:
    """Columns of numbers of a table; indexed by rows it is float64 [B, columns].

    `rounded` and `exact` say where each column stands among those of a table, -1 where it is not one of them.
    """

    def __init__(self, table: Table, rounded: np.ndarray, exact: np.ndarray) -> None:
        self._table, self._rounded, self._exact, cells = table, rounded, exact, table.cells
        self.is_float32 = bool(len(rounded)) and bool((rounded >= 0).all()) and cells.rounded.dtype == np.float32
        self.centre = cells.centre[rounded] if self.is_float32 else np.zeros(len(rounded))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers of rows [B]."""
        cells = self._table.cells
        if (self._rounded >= 0).all():  # as of all tables but those whose times are inputs too
            part = columns_of(cells.rounded, rows, self._rounded)
            centre = cells.centre[self._rounded]
            return part.astype(np.float64, copy=False) + centre if centre.any() else part.astype(np.float64, copy=False)
        found = np.empty((len(rows), len(self._rounded)))
        for at, matrix, shift in ((self._rounded, cells.rounded, cells.centre), (self._exact, cells.exact, None)):
            if (there := np.flatnonzero(at >= 0)).size:
                part = columns_of(matrix, rows, at[there])
                found[:, there] = part if shift is None else part + shift[at[there]]
        return found

    def stored(self, rows: np.ndarray) -> np.ndarray:
        """Return x − `centre` of rows [B], float32 [B, columns], of columns that are `is_float32`."""
        return columns_of(self._table.cells.rounded, rows, self._rounded)


def columns_of(matrix: Matrix, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return a copy of some columns of some rows of a matrix."""
    found = matrix[rows]
    every = len(columns) == found.shape[1] and (columns == np.arange(len(columns))).all()
    return found if every else found[:, columns]
