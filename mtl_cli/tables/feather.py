"""Files in the format of Arrow (Feather), read as a table with the types that they declare."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.paths import check_file
from mtl_cli.tables.reading import BATCH_ROWS, ReadOptions, TableFile


class FeatherFile(TableFile):
    """A file of record batches, memory-mapped where it is not compressed.

    Raises:
        UserError: the file is missing or damaged, or names a column twice.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options, self.format, self.delimiter = path, options, "feather", ","
        check_file(path, "a Feather file")
        self.columns = [name or f"unnamed_{index}" for index, name in enumerate(self._open().schema.names, start=1)]
        self.check_columns()

    @property
    def types(self) -> "dict[str, pa.DataType]":
        """The type of each column."""
        return dict(zip(self.columns, self._open().schema.types, strict=True))

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[int, pa.RecordBatch]]":
        """Yield batches of some columns or all, in the file's order, each with the number of its first row, from 0."""
        wanted = list(self.columns if columns is None else columns)
        file, row = self._open(), 0
        places = [self.columns.index(name) for name in wanted]
        for number in range(file.num_record_batches):
            try:
                whole = file.get_batch(number)
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{self.path} is damaged: {error}. Write it again.") from error
            for start in range(0, whole.num_rows, BATCH_ROWS):
                part = whole.slice(start, BATCH_ROWS)
                yield row, pa.RecordBatch.from_arrays([part.column(place) for place in places], names=wanted)
                row += part.num_rows

    @property
    def num_rows(self) -> int | None:
        """The number of rows."""
        file = self._open()
        return sum(file.get_batch(number).num_rows for number in range(file.num_record_batches))

    def _open(self) -> "pa.ipc.RecordBatchFileReader":
        try:
            return pa.ipc.open_file(pa.memory_map(str(self.path)))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{self.path} is not a Feather file of version 2, or is damaged: {error}. Write it again."
            ) from error
