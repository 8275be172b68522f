"""New rows of tables and texts: read as the dataset's own, and written again with further columns."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from mtl_cli.datasets.reading_base import Beside, NewRows, Reading, Writer
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.json_lines import JsonLinesFile, JsonLinesWriter
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.writing import TableWriter

Encode = Callable[["pa.RecordBatch", Path, int], dict[str, Tensor]]
"""Makes the model's inputs of a record batch, its file and the number of its first row."""


class TableReading(Reading):
    """Rows of a table; their cells are copied to the output as they are.

    Args:
        file: the table, opened as the dataset's own.
        encode: makes the model's inputs of its rows.
    """

    def __init__(self, file: TableFile, encode: Encode) -> None:
        super().__init__(file.path)
        self.file = file.verbatim()
        self.file.check_bytes()
        self._encode = encode

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the rows, at most `size` at a time."""
        empty = True
        for first, batch in self.file.batches():
            for start in range(0, batch.num_rows, size):
                rows = batch.slice(start, size)
                names = [str(number) for number in range(first + start, first + start + rows.num_rows)]
                yield NewRows(self._encode(rows, self.path, first + start), names, rows)
                empty = False
        if empty:
            types = [pa.array([], kind) for kind in self.file.types.values()]
            yield NewRows({}, [], pa.RecordBatch.from_arrays(types, names=self.file.columns))

    @property
    def num_rows(self) -> int | None:
        """Number of rows; for CSV the number of lines, which is too high where quoted cells have several lines."""
        return self.file.num_rows if self.file.num_rows is not None else count_lines(self.path)

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the table."""
        return self.file.columns

    def writer(self, target: Path, columns: Sequence[str]) -> Writer:
        """Return what writes the table again, in its own format, with further columns."""
        if isinstance(self.file, JsonLinesFile):
            return Beside(JsonLinesWriter(target, self.file))
        return Beside(TableWriter(target, self.file))


def count_lines(path: Path) -> int:
    """Return the number of line ends in a file."""
    total = 0
    with pa.input_stream(str(path)) as stream:
        while block := stream.read(1 << 20):
            total += block.count(b"\n")
    return total
