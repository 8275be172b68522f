"""Rows of a file on their way into a table: in memory, then in files without a name, then in the files of a cache.

1. Each batch becomes blocks of three matrices: numbers that may be rounded, numbers that may not, and codes. Each
   distinct text of a column gets the next free number when it first occurs.
2. Blocks are held until they take more than `HELD` bytes. Then they are written to files, as are all that follow.
   From `most` bytes on, the files are those of a cache, where numbers that may be rounded are float32.
3. At the end `joined` joins the blocks, or maps the files and removes their names; `seal_in` seals those of a cache.
   How many rows there are need not be known before.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.storage.sealed import seal
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import category_cells, date_cells, number_cells, numbered
from mtl_cli.tables.mapped import MatrixFile
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.store import Cells, Layout, Table

HELD = 1 << 24
"""Bytes of rows that are held in memory, where there is space on the disk for more."""
FAR = 8.0
"""Mean of a column's first rows, in their standard deviations, from which float32 holds distances from it instead."""
Block = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rounded numbers, exact numbers and codes of some rows."""
NAMES = ("numbers.npy", "exact.npy", "codes.npy")
TYPES = (np.float64, np.float64, np.int32)
ROWS_AT_ONCE = 1 << 16


class Filling:
    """The rows of a file that were read so far.

    Args:
        file: the file.
        layout: which columns are read, and as what.
        most: bytes from which on the rows are those of a cache; with None they are all held in memory.
        folder: where files are written; a temporary folder in it, which is removed unless `seal_in` gives it away.
    """

    def __init__(self, file: TableFile, layout: Layout, most: float | None, folder: Path) -> None:
        self.layout, self.rows = layout, 0
        self._file, self._most, self._folder = file, most, folder
        self._known: list[dict[str, int]] = [{} for _ in layout.texts]
        self._how = {name: file.options.notation.with_missing(layout.missing.get(name, ())) for name in layout.columns}
        self._blocks: list[Block] = []
        self._held = HELD if most is None else min(HELD, most)
        self._centre = np.zeros(len(layout.rounded))
        self._rounds = False
        self._temporary: Path | None = None
        self._files: list[MatrixFile] = []
        self._open = ExitStack()

    def close(self) -> None:
        """Forget the rows; files that `seal_in` gave away and that were moved stay."""
        self._blocks.clear()
        self._open.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def fill(self) -> None:
        """Take in all rows of the file.

        Raises:
            UserError: a cell is not what its column holds, or the folder cannot be written.
        """
        for first, batch in self._file.batches(self.layout.columns or self._file.columns[:1]):
            self.add(first, batch, {})

    def add(self, first: int, batch: "pa.RecordBatch", read: "Mapping[str, pa.Array]") -> None:
        """Take in the next rows; `read` are columns that were cast to float64 or encoded by a dictionary already.

        Raises:
            UserError: a cell is not what its column holds, or the folder cannot be written.
        """
        layout, rows = self.layout, batch.num_rows
        rounded, exact = np.empty((rows, len(layout.rounded))), np.empty((rows, len(layout.exact)))
        columns = {**dict(zip(layout.rounded, rounded.T, strict=True)), **dict(zip(layout.exact, exact.T, strict=True))}
        for index, name in enumerate((*layout.numbers, *layout.dates)):
            cells = number_cells if index < len(layout.numbers) else date_cells
            array, how = batch.column(name), self._how[name]
            if name in read and how.is_plain and pa.types.is_floating(read[name].type):
                array = read[name]
            columns[name][:] = cells(array, how, self._file.place(name, first))
        codes = np.empty((rows, len(layout.texts)), dtype=np.int32)
        for index, name in enumerate(layout.texts):
            how = self._how[name]
            if name in read and pa.types.is_dictionary(read[name].type):
                local, values = numbered(read[name], how)
            else:
                local, values = category_cells(batch.column(name), how, self._file.place(name, first))
            known = self._known[index]
            lookup = np.array([*(known.setdefault(value, len(known)) for value in values), -1], dtype=np.int32)
            codes[:, index] = lookup[local]
        self.rows += rows
        self._take((rounded, exact, codes))

    def _take(self, block: Block) -> None:
        """Hold a block, or write it."""
        self._blocks.append(block)
        size = self.rows * self.layout.row_bytes
        if self._most is None or size <= self._held:
            return
        if size <= self._most and not self._files and not self._has_space(self._most):
            self._held = self._most
            return
        with writing(self._file, self._folder):
            if not self._files:
                self._start()
            if size > self._most and not self._rounds:
                self._round()
            for rounded, *others in self._blocks:
                numbers = distances(rounded, self._centre) if self._rounds else rounded
                for file, part in zip(self._files, (numbers, *others), strict=True):
                    file.append(part)
        self._blocks.clear()

    def _has_space(self, size: float) -> bool:
        """Return whether the folder can be written and has space for so many bytes, twice."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.access(self._folder, os.W_OK) and shutil.disk_usage(self._folder).free > 2 * size
        except OSError:
            return False

    def _start(self) -> None:
        """Open the files; the first block shows which columns are far from 0."""
        self._centre = centre_of(self._blocks[0][0])
        self._folder.mkdir(parents=True, exist_ok=True)
        self._temporary = Path(tempfile.mkdtemp(prefix=".reading-", dir=self._folder))
        for name, dtype, part in zip(NAMES, TYPES, self._blocks[0], strict=True):
            file = MatrixFile(self._temporary / name, dtype, part.shape[1])
            self._files.append(self._open.enter_context(file))

    def _round(self) -> None:
        """Go on with distances from the centre in float32, also of the rows that are written."""
        self._rounds = True
        exact = self._files[0]
        exact.close()
        file = MatrixFile(exact.path.with_suffix(".rounded"), np.float32, exact.columns)
        self._files[0] = self._open.enter_context(file)
        for block in blocks_of(exact.path):
            file.append(distances(block, self._centre))
        file.path.replace(exact.path)

    def joined(self) -> Cells:
        """Return the rows: in memory, or mapped from files that have no name, so that their memory can be taken."""
        exact = len(self.layout.exact)
        widths = (len(self.layout.rounded), exact, len(self.layout.texts))
        if self._files:
            assert self._temporary is not None, "where the files are"
            self._open.close()
            matrices = tuple(mapped(self._temporary / name) for name in NAMES)
            shutil.rmtree(self._temporary)
        else:
            matrices = tuple(np.empty((self.rows, width), dtype) for width, dtype in zip(widths, TYPES, strict=True))
            stop = self.rows
            while self._blocks:
                block = self._blocks.pop()  # so that no more than a block is held twice
                for whole, part in zip(matrices, block, strict=True):
                    whole[stop - len(part) : stop] = part
                stop -= len(block[0])
        return Cells(matrices[0], np.zeros(widths[0]), matrices[1], matrices[2], self._values())

    def seal_in(self) -> Path:
        """Return the temporary folder with the files of a cache entry, sealed.

        Raises:
            UserError: the folder cannot be written.
        """
        with writing(self._file, self._folder):
            assert self._temporary is not None, "they are more than may be held"
            self._open.close()
            folder = self._temporary
            narrow(folder / NAMES[2], max((len(known) for known in self._known), default=0))
            for index, values in enumerate(self._values()):
                with pa.OSFile(str(folder / f"values_{index}.arrow"), "wb") as sink:
                    table = pa.table({"value": values})
                    with pa.ipc.new_file(sink, table.schema) as writer:
                        writer.write_table(table)
            (folder / "centre.json").write_text(json.dumps({"centre": self._centre.tolist()}), encoding="utf-8")
            seal(folder)
        return folder

    def _values(self) -> "list[pa.Array]":
        return [pa.array(list(known), pa.string()) for known in self._known]


def read_table(file: TableFile, layout: Layout) -> Table:
    """Return a table in memory.

    Raises:
        UserError: a cell is not what its column holds.
    """
    filling = Filling(file, layout, None, Path())
    filling.fill()
    return Table(file.path, layout, filling.joined())


def centre_of(block: np.ndarray) -> np.ndarray:
    """Return, for the columns of the first rows [N, columns], whole numbers that distances from are kept; most are 0.

    A column such as seconds since 1970 is so far from 0 that float32 would lose what tells its values apart.
    """
    present = ~np.isnan(block)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, block, 0.0).sum(axis=0) / count
    std = np.sqrt(np.where(present, (block - mean) ** 2, 0.0).sum(axis=0) / count)
    return np.where(np.abs(mean) > FAR * std, np.rint(mean), 0.0)


def distances(block: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return distances float32 of numbers float64, by float64 and without a copy in it."""
    return np.subtract(block, centre, out=np.empty(block.shape, np.float32), casting="same_kind")


def narrow(path: Path, values: int) -> None:
    """Write the codes of a file again in the smallest type that numbers so many values."""
    dtype = next((each for each in (np.int8, np.int16) if values - 1 <= np.iinfo(each).max), None)
    if dtype is None:
        return
    with MatrixFile(path.with_suffix(".narrow"), dtype, mapped(path).shape[1]) as file:
        for block in blocks_of(path):
            file.append(block)
    path.with_suffix(".narrow").replace(path)


def mapped(path: Path) -> np.ndarray:
    """Return the matrix of a file; the file stays as it is whatever is written into the matrix."""
    return np.asarray(np.load(path, mmap_mode="c"))


def blocks_of(path: Path) -> Iterator[np.ndarray]:
    """Yield the rows of a matrix in a file, some at a time."""
    rows = mapped(path)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


@contextmanager
def writing(file: TableFile, folder: Path) -> Iterator[None]:
    """Turn failures of a disk into an error that says what to do.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot keep the table {file.path} in {folder}: {error.strerror}. Give another folder by "
            "tasks.NAME.dataset.cache_dir=DIR, or read it into memory: tasks.NAME.dataset.memory_mb=100000."
        ) from error
