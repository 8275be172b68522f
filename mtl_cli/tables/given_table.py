"""Rows in memory, read as the rows of a file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mtl_cli.tables.arrow import pa
from mtl_cli.tables.given import GIVEN
from mtl_cli.tables.reading import ReadOptions, TableFile


class GivenTable(TableFile):
    """Rows in memory, read as the rows of a file of Arrow are.

    Args:
        table: the rows.
        options: how cells are read.
    """

    def __init__(self, table: "pa.Table", options: ReadOptions) -> None:
        self.path, self.options, self.format, self.delimiter = GIVEN, options, "feather", ","
        self.table, self.columns = table, list(table.column_names)
        self.check_columns()

    @property
    def types(self) -> "dict[str, pa.DataType]":
        """The type of each column."""
        return dict(zip(self.columns, self.table.schema.types, strict=True))

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[int, pa.RecordBatch]]":
        """Yield batches of some columns or all, each with the number of its first row, from 0."""
        wanted = self.table if columns is None else self.table.select(list(columns))
        row = 0
        for batch in wanted.combine_chunks().to_batches():
            yield row, batch
            row += batch.num_rows

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    def verbatim(self) -> "GivenTable":
        """Return the same rows, in which no cell counts as missing because of its text."""
        return GivenTable(self.table, replace(self.options, missing_values=()))

    def check_bytes(self) -> None:
        """Do nothing: cells are not quoted."""
