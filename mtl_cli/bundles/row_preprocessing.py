"""Rows of tables and texts as arrays, by what was fitted in training, without torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.column_encoder import ColumnEncoder
from mtl_cli.tables.formats import open_file
from mtl_cli.tables.given import GIVEN, Given
from mtl_cli.tables.given_table import GivenTable
from mtl_cli.tables.reading import ReadOptions, require_columns
from mtl_cli.tables.scaling import Scaler
from mtl_cli.tables.vocabulary import Vocabulary
from mtl_cli.texts.ragged import Ragged

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TextPreprocessing:
    """Columns of text, and how they are cut."""

    columns: tuple[str, ...]
    tokenizer: Any
    max_length: int

    def encode(self, rows: "pa.RecordBatch", first_row: int) -> dict[str, Array]:
        """Return `ids` and `mask` [B, L] of rows.

        Raises:
            UserError: a column is missing, or does not hold text.
        """
        from mtl_cli.texts.encoding import text_rows
        from mtl_cli.texts.reading import row_texts

        require_columns(self.columns, rows.schema.names, GIVEN)
        pieces, _ = text_rows(self.tokenizer, row_texts(rows, self.columns, GIVEN, first_row), self.max_length)
        ids, mask = padded(pieces, self.tokenizer.specials.pad)
        return {"ids": ids, "mask": mask}


@dataclass(frozen=True)
class RowPreprocessing:
    """How rows of columns become the model's inputs."""

    reading: ReadOptions
    table: ColumnEncoder | None
    text: TextPreprocessing | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of text."""
        return () if self.text is None else self.text.columns

    @property
    def text_alone(self) -> str | None:
        """The column of text where it is the only input."""
        return self.texts[0] if len(self.texts) == 1 and self.table is None else None

    def batches(self, inputs: Given, size: int) -> Iterator[tuple[dict[str, Array], int]]:
        """Yield the arrays of all rows, at most `size` at a time, and how many rows they are of.

        Raises:
            UserError: a column is missing, or a cell cannot be used.
        """
        table = inputs.table
        if table is None:
            table = pa.table({str(self.text_alone): pa.array(inputs.strings, pa.string())})
        for first, batch in GivenTable(table, self.reading).verbatim().batches():
            for start in range(0, batch.num_rows, size):
                rows = batch.slice(start, size)
                arrays = {} if self.text is None else self.text.encode(rows, first + start)
                if self.table is not None:
                    arrays |= self.table.encode(rows, self.reading.notation, GIVEN, first + start)
                yield arrays, rows.num_rows

    def rows_of(self, path: Path) -> "pa.Table":
        """Return the rows of a file.

        Raises:
            UserError: it cannot be read.
        """
        file = open_file(path, self.reading).verbatim()
        batches = [batch for _, batch in file.batches()]
        if not batches:
            raise UserError(f"{path} has no rows.")
        return pa.Table.from_batches(batches)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "RowPreprocessing":
        """Return what a manifest describes."""
        return cls(ReadOptions(**data["reading"]), column_encoder(data["table"]), text_preprocessing(data["text"]))


def column_encoder(data: Mapping[str, Any] | None) -> ColumnEncoder | None:
    """Return the encoder of table columns that a manifest describes."""
    if data is None:
        return None
    statistics = {name: np.asarray(values) for name, values in data["scaler"].items()}
    statistics["marked"] = statistics["marked"].astype(np.int64)
    return ColumnEncoder(
        tuple(data["numbers"]),
        tuple(data["dates"]),
        tuple(data["texts"]),
        Scaler(**{name: values if name == "marked" else values.astype(float) for name, values in statistics.items()}),
        tuple(Vocabulary(tuple(values)) for values in data["vocabularies"]),
    )


def text_preprocessing(data: Mapping[str, Any] | None) -> TextPreprocessing | None:
    """Return how texts are cut, as a manifest describes it."""
    if data is None:
        return None
    from mtl_cli.texts.tokenizer import TextTokenizer

    return TextPreprocessing(tuple(data["columns"]), TextTokenizer.of(data["tokenizer"]), int(data["max_length"]))


def padded(rows: Ragged, pad: int) -> tuple[Array, Array]:
    """Return the pieces of rows [B, L] and where they are real [B, L]."""
    return rows.padded(np.arange(len(rows)), pad)
