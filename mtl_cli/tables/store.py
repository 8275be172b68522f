"""A table that has been read: numbers and category codes in two matrices, in memory or memory-mapped from a cache.

A table comes about in steps:

1. `fill` goes through the file batch by batch. Numbers and dates go into one matrix. Texts become codes in a second
   matrix: each distinct text of a column gets the next free number when it first occurs.
2. `read_table` fills matrices in memory. `write_entry` fills matrices on disk and writes the distinct texts beside
   them.
3. `cached_table` writes into a temporary folder, seals it and renames it to the entry at the end. So an entry is whole
   or not there, and where two processes write the same one, the slower uses that of the faster. A damaged one is made
   again.
"""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.storage.sealed import Damaged, Seal, seal, take_place
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import category_cells, date_cells, number_cells
from mtl_cli.tables.mapped import Matrix, MatrixFile, Rebuild, opened
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import TableFile

logger = logging.getLogger("mtl_cli")
CACHE_FORMAT = 2


@dataclass(frozen=True)
class Layout:
    """Which columns are read as numbers, as dates (days since 1970) and as text; a column may be text too.

    `missing` are, by column, values that stand for a missing cell in addition to those of all columns.
    """

    numbers: tuple[str, ...]
    dates: tuple[str, ...]
    texts: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Every column, once."""
        return list(dict.fromkeys((*self.numbers, *self.dates, *self.texts)))


class Table:
    """Rows of a file: `numbers` float64 [N, columns] (NaN: missing), `codes` int32 [N, columns] (-1: missing).

    `values` are, for each column of text, the distinct values that its codes number, as an Arrow array. `entry` is the
    folder that the matrices are memory-mapped from; a pickled table is opened from there again.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        numbers: Matrix,
        codes: Matrix,
        values: "Sequence[pa.Array]",
        entry: Path | None = None,
    ) -> None:
        self._entry = entry
        self.path, self.layout, self.numbers, self.codes, self.values = path, layout, numbers, codes, list(values)
        self._number_at = {name: index for index, name in enumerate((*layout.numbers, *layout.dates))}
        self._text_at = {name: index for index, name in enumerate(layout.texts)}

    def __reduce__(self) -> tuple[Any, ...]:
        if self._entry is not None:
            return open_entry, (self.path, self.layout, self._entry)
        return Table, (self.path, self.layout, self.numbers, self.codes, self.values)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    def number_places(self, names: Sequence[str]) -> np.ndarray:
        """Return where columns stand in `numbers`."""
        return np.array([self._number_at[name] for name in names], dtype=np.int64)

    def text_places(self, names: Sequence[str]) -> np.ndarray:
        """Return where columns stand in `codes`."""
        return np.array([self._text_at[name] for name in names], dtype=np.int64)

    def has(self, name: str) -> bool:
        """True for a column that was read."""
        return name in self._number_at or name in self._text_at

    def number(self, name: str) -> np.ndarray:
        """Return the numbers of a column, float64 [N]."""
        return np.asarray(self.numbers[:, self._number_at[name]])

    def text(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return the codes of a column, int64 [N], and the values that they number."""
        at = self._text_at[name]
        return self.codes[:, at].astype(np.int64), self.values[at].to_pylist()

    def place(self, name: str) -> Place:
        """Return where a column stands, for messages."""
        return Place(self.path, name)


def read_table(file: TableFile, layout: Layout, rows: int) -> Table:
    """Return a table in memory.

    Raises:
        UserError: a cell is not what its column holds.
    """
    matrix = np.empty((rows, len(layout.numbers) + len(layout.dates)))
    codes = np.empty((rows, len(layout.texts)), dtype=np.int32)
    return Table(file.path, layout, matrix, codes, fill(file, layout, matrix, codes))


class Filled(Protocol):
    """A matrix that is filled from its first row to its last."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows and of columns."""
        ...

    def __setitem__(self, rows: slice, block: np.ndarray) -> None:
        """Take in the next rows."""
        ...


def fill(file: TableFile, layout: Layout, matrix: Filled, codes: Filled) -> "list[pa.Array]":
    """Write the rows of a file into two matrices; return, for each column of text, the values that its codes number."""
    known: list[dict[str, int]] = [{} for _ in layout.texts]
    how = {name: file.options.notation.with_missing(layout.missing.get(name, ())) for name in layout.columns}
    for first, batch in file.batches(layout.columns):
        stop = first + batch.num_rows
        block = np.empty((batch.num_rows, matrix.shape[1]))
        for index, name in enumerate((*layout.numbers, *layout.dates)):
            read = number_cells if index < len(layout.numbers) else date_cells
            block[:, index] = read(batch.column(name), how[name], Place(file.path, name, first))
        matrix[first:stop] = block
        numbered = np.empty((batch.num_rows, len(layout.texts)), dtype=np.int32)
        for index, name in enumerate(layout.texts):
            local, values = category_cells(batch.column(name), how[name], Place(file.path, name, first))
            index_of = known[index]
            lookup = np.array([*(index_of.setdefault(value, len(index_of)) for value in values), -1], dtype=np.int32)
            numbered[:, index] = lookup[local]
        codes[first:stop] = numbered
    return [pa.array(list(index_of), pa.string()) for index_of in known]


def cached_table(file: TableFile, layout: Layout, rows: int, entry: Path) -> Table:
    """Return a table whose matrices are memory-mapped from the folder `entry`, which is made if it is not there.

    An entry that is damaged is made again, also where that shows only when a block is first used.

    Raises:
        UserError: a cell is not what its column holds, or the folder cannot be written.
    """

    def made() -> Seal:
        try:
            return Seal.of(entry)
        except Damaged as damage:
            if entry.exists():
                logger.warning("%s. The table is read again.", damage)
            make_entry(file, layout, rows, entry)
            return Seal.of(entry)

    def rebuilt() -> Seal:
        logger.warning("%s is damaged. The table is read again.", entry)
        shutil.rmtree(entry, ignore_errors=True)
        return made()

    try:
        return open_entry(file.path, layout, entry, made(), rebuilt)
    except Damaged:
        return open_entry(file.path, layout, entry, rebuilt(), rebuilt)


def make_entry(file: TableFile, layout: Layout, rows: int, entry: Path) -> None:
    """Read a file into a cache entry, in the place of a damaged one.

    Raises:
        UserError: a cell is not what its column holds, or the folder cannot be written.
    """
    folder = entry.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".reading-", dir=folder))
        try:
            write_entry(file, layout, rows, temporary)
            take_place(temporary, entry)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"Cannot keep the table {file.path} in {folder}: {error.strerror}. Give another folder by "
            "tasks.NAME.dataset.cache_dir=DIR, or read it into memory: tasks.NAME.dataset.memory_mb=100000."
        ) from error


def open_entry(
    path: Path, layout: Layout, entry: Path, seal: Seal | None = None, rebuild: Rebuild | None = None
) -> Table:
    """Return the table of a cache entry.

    Raises:
        Damaged: it is not whole.
    """
    seal = Seal.of(entry) if seal is None else seal
    values = []
    for index in range(len(layout.texts)):
        seal.check(f"values_{index}.arrow")
        with pa.memory_map(str(entry / f"values_{index}.arrow")) as source:
            column = pa.ipc.open_file(source).read_all().column(0)
        values.append(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())
    numbers, codes = (opened(seal, name, rebuild) for name in ("numbers.npy", "codes.npy"))
    return Table(path, layout, numbers, codes, values, entry)


def write_entry(file: TableFile, layout: Layout, rows: int, folder: Path) -> None:
    """Read a file into the files of a cache entry.

    Raises:
        OSError: the disk is full.
    """
    width = len(layout.numbers) + len(layout.dates)
    with (
        MatrixFile(folder / "numbers.npy", np.float64, (rows, width)) as matrix,
        MatrixFile(folder / "codes.npy", np.int32, (rows, len(layout.texts))) as codes,
    ):
        found = fill(file, layout, matrix, codes)
    for index, values in enumerate(found):
        with pa.OSFile(str(folder / f"values_{index}.arrow"), "wb") as sink:
            table = pa.table({"value": values})
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
    seal(folder)


def entry_name(file: TableFile, layout: Layout | None = None) -> str:
    """Return the name of what was read from a file: a hash of its content, of how it is read, and of the layout."""
    how = {"format": CACHE_FORMAT, "layout": asdict(layout) if layout else None, **asdict(file.options)}
    return hashlib.sha256((file.content_hash + json.dumps(how, sort_keys=True)).encode()).hexdigest()[:32]
