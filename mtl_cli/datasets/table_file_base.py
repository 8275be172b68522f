"""Datasets whose own files are tables: new tables are read row by row, rows in memory too."""

from abc import abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor

from mtl_cli.datasets.reading_base import Reading
from mtl_cli.datasets.table_base import ColumnSource
from mtl_cli.datasets.table_reading_base import TableReading
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.given import Given
from mtl_cli.tables.given_table import GivenTable


class TableFileSource(ColumnSource):
    """A dataset whose files are tables, with columns that are inputs; it reads new tables row by row."""

    def preprocessing(self) -> dict[str, Any]:
        """Return the table columns, the texts and how files are read."""
        reading = {
            name: value if isinstance(value, str | None) else list(value) for name, value in vars(self._reading).items()
        }
        columns = None if self._inputs is None else self._inputs.plain()
        return {"kind": "rows", "reading": reading, "table": columns, "text": self.text_preprocessing()}

    def text_preprocessing(self) -> dict[str, Any] | None:
        """Return how texts are cut as plain data; None where there are none."""
        return None

    @abstractmethod
    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs of rows as `reader(path).batches()` yields them; the rest is needed for messages.

        Raises:
            UserError: an input column is missing, or a cell cannot be used.
        """

    def reading(self, path: Path) -> Reading:
        """Return the rows of a table."""
        return TableReading(self.reader(path), self.encode_rows)

    def reading_of(self, inputs: Given) -> Reading | None:
        """Return rows of columns; or texts, where one column of text is all that is read."""
        table = inputs.table
        if table is None and inputs.strings is not None and self.text_alone is not None:
            table = pa.table({self.text_alone: pa.array(inputs.strings, pa.string())})
        return None if table is None else TableReading(GivenTable(table, self._reading), self.encode_rows)

    def given_rows(self, split: str, most: int) -> Given:
        """Return the rows of a split, in the order of the file."""
        found, rows = self.divide()[split]
        batches = [batch for _, batch in self.reader(found.path).verbatim().batches()]
        return Given(table=pa.Table.from_batches(batches).take(pa.array(rows[:most])))

    @property
    def text_alone(self) -> str | None:
        """The column of text, where it is the only input; None otherwise."""
        return None
