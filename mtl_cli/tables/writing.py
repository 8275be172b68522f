"""A table written row by row beside another: CSV and TSV as text, Parquet with its types."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import sync_directory
from mtl_cli.tables.arrow import pa, pq
from mtl_cli.tables.reading import COMPRESSED, SUFFIXES, TableFile, table_format

COMPRESSIONS = dict(zip(COMPRESSED, ("gzip", "bz2", "zstd"), strict=True))


class TableWriter:
    """Writes rows of `like`, each with further columns, to a file that appears whole at the block's end, or not at all.

    The output has the format, delimiter and encoding of `like`, and a header where that has one; it is compressed where
    its own name says so. Cells are copied as they are, quoted where they must be; lines end with a line feed.

    Raises:
        UserError: `path` is the file of `like`, of another format, or in no folder that can be written.
    """

    def __init__(self, path: Path, like: TableFile) -> None:
        self.path, self.like = path, like
        check_output(path, like)
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: Any = None
        self._rows: Any = None

    def __enter__(self) -> "TableWriter":
        return self

    def write(self, batch: "pa.RecordBatch", columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Append the rows of a batch, with the cells of `columns`, each [B], after their own.

        Raises:
            RunFailure: the disk is full or the folder cannot be written.
        """
        try:
            if self._file is None:
                self._open([*self.like.columns, *columns], columns)
            if self.like.is_text:
                own = [["" if cell is None else cell for cell in column.to_pylist()] for column in batch.columns]
                added = [cells(values) for values in columns.values()]
                self._rows.writerows(zip(*own, *added, strict=True))
            else:
                arrays = [*batch.columns, *(pa.array(values) for values in columns.values())]
                self._file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._file.schema))
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror or error}.") from error

    def _open(self, names: list[str], columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        if self.like.is_text:
            compression = COMPRESSIONS.get(self.path.suffix.lower())
            stream = pa.output_stream(str(self.temporary), compression=compression)
            self._file = io.TextIOWrapper(stream, encoding=self.like.options.encoding, newline="")
            self._rows = csv.writer(self._file, delimiter=self.like.delimiter, lineterminator="\n")
            if self.like.options.column_names is None:
                self._rows.writerow(names)
            return
        fields = [pa.field(name, kind) for name, kind in self.like.types.items()]
        fields += [pa.field(name, pa.array(values).type) for name, values in columns.items()]
        self._file = pq.ParquetWriter(str(self.temporary), pa.schema(fields))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None:
                self._file.close()
            if kind is None:
                with self.temporary.open("rb") as file:
                    os.fsync(file.fileno())
                self.temporary.replace(self.path)
                sync_directory(self.path.parent)
        except OSError as failure:
            raise RunFailure(f"Cannot write {self.path}: {failure.strerror or failure}.") from failure
        finally:
            self.temporary.unlink(missing_ok=True)


def cells(values: "np.ndarray[Any, Any]") -> list[str]:
    """Return values [B] as text, numbers by the fewest digits that stand for them."""
    return values.astype(str).tolist()


def check_output(path: Path, like: TableFile) -> None:
    """Look at where a table is to be written, before any work is done.

    Raises:
        UserError: it is the input itself, of another format, or in no folder that can be written.
    """
    if path.exists() and path.samefile(like.path):
        raise UserError(f"output is {path}, the input itself, which is never overwritten. Give another output=FILE.")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        what = "is a folder" if path.is_dir() else "is in no folder that can be written"
        raise UserError(f"output is {path}, which {what}. Give a file in one: output=FILE.")
    known = any(suffix.lower() in SUFFIXES for suffix in path.suffixes)
    if known and (wanted := table_format(path, "auto")) != like.format:
        raise UserError(
            f"output is {path}, which is {wanted}; {like.path} is {like.format}, and so is what is written. "
            f"Give an output of that format, such as output={path.stem}.{like.format}."
        )
