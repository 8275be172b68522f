"""Writes a table row by row beside the one that it comes from: CSV and TSV as text, Parquet with its types."""

import codecs
import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.storage.file_writer import FileWriter
from mtl_cli.tables.arrow import pa, pq
from mtl_cli.tables.reading import COMPRESSED, SUFFIXES, TableFile, table_format

COMPRESSIONS = dict(zip(COMPRESSED, ("gzip", "bz2", "zstd"), strict=True))


class TableWriter(FileWriter):
    """Writes rows of `like`, each with further columns, to a file that appears whole at the block's end, or not at all.

    The output has the format, delimiter and encoding of `like`, and a header where that has one. It is compressed where
    its own name says so. Cells are copied as they are, and quoted where they must be. Lines end with a line feed.

    Raises:
        UserError: `path` is the file of `like`, has another format, or its folder cannot be written.
    """

    def __init__(self, path: Path, like: TableFile) -> None:
        super().__init__(path, like.path)
        check_format(path, like)
        self.like = like
        self._rows: Any = None

    def write(self, batch: "pa.RecordBatch", columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Append the rows of a batch, with the cells of `columns`, each [B], after their own.

        Raises:
            RunFailure: the disk is full or the folder cannot be written.
        """
        with self.failing():
            if self.file is None:
                self._open([*self.like.columns, *columns], columns)
            if self.like.is_text:
                own = [["" if cell is None else cell for cell in column.to_pylist()] for column in batch.columns]
                added = [cells(values) for values in columns.values()]
                self._rows.writerows(zip(*own, *added, strict=True))
            else:
                arrays = [*batch.columns, *(pa.array(values) for values in columns.values())]
                self.file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _open(self, names: list[str], columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        if self.like.is_text:
            compression = COMPRESSIONS.get(self.path.suffix.lower())
            stream = pa.output_stream(str(self.temporary), compression=compression)
            encoding = codecs.lookup(self.like.options.encoding).name
            if encoding == "utf-16":  # a stream that cannot seek gets no mark of its own
                stream.write(codecs.BOM_UTF16_LE)
                encoding = "utf-16-le"
            self.file = io.TextIOWrapper(stream, encoding=encoding, newline="")
            self._rows = csv.writer(self.file, delimiter=self.like.delimiter, lineterminator="\n")
            if self.like.options.column_names is None:
                self._rows.writerow(names)
            return
        fields = [pa.field(name, kind) for name, kind in self.like.types.items()]
        fields += [pa.field(name, pa.array(values).type) for name, values in columns.items()]
        self._schema = pa.schema(fields)
        if self.like.format == "feather":
            self.file = pa.ipc.new_file(str(self.temporary), self._schema)
        else:
            self.file = pq.ParquetWriter(str(self.temporary), self._schema)


def cells(values: "np.ndarray[Any, Any]") -> list[str]:
    """Return values [B] as text, numbers with the fewest digits that identify them."""
    return values.astype(str).tolist()


def check_format(path: Path, like: TableFile) -> None:
    """Compare the format that a file's name shows with that of the table that is written there.

    Raises:
        UserError: they differ.
    """
    known = any(suffix.lower() in SUFFIXES for suffix in path.suffixes)
    if known and (wanted := table_format(path, "auto")) != like.format:
        raise UserError(
            f"output is {path}, which is {wanted}; {like.path} is {like.format}, and so is what is written. "
            f"Give an output of that format, such as output={path.stem}.{like.format}."
        )
