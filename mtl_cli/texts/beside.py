"""Table columns and texts of a row that stand beside another input, such as an image, as inputs of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import THERE, InputPlace, InputSpec
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.inputs import InputRows, TableInputs
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.reading import TableFile, require_columns
from mtl_cli.tables.store import Table
from mtl_cli.texts.columns import file_rows
from mtl_cli.texts.encoding import checked_length, example_inputs, text_rows, typical_length
from mtl_cli.texts.reading import row_texts
from mtl_cli.texts.rows import padded_inputs
from mtl_cli.texts.tokenizer import TextTokenizer

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Text:
    """Columns of text, their tokenizer, the longest row in pieces, and the median one."""

    columns: tuple[str, ...]
    tokenizer: TextTokenizer
    max_length: int
    length: int

    @property
    def spec(self) -> InputSpec:
        """What they are as an input."""
        return InputSpec("text", (), (self.tokenizer.size,), self.tokenizer.path)


@dataclass(frozen=True)
class Beside:
    """The columns that stand beside an input, fitted on training rows; `table` or `text` is None where there are none.

    Inputs are those of tables and texts, and `there` float32 [B]: 1, or 0 for rows that come without any columns.
    """

    table: TableInputs | None
    text: Text | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a file that are read."""
        texts = () if self.text is None else self.text.columns
        return (*texts, *(() if self.table is None else self.table.columns))

    @property
    def places(self) -> dict[str, list[InputPlace]]:
        """Where each column lies in the inputs."""
        texts = {} if self.text is None else {"+".join(self.text.columns): [InputPlace("ids"), InputPlace("mask")]}
        return {**texts, **({} if self.table is None else self.table.places)}

    def spec_with(self, image: InputSpec) -> InputSpec:
        """Return the spec of images with these columns beside them."""
        table = None if self.table is None else self.table.spec
        return replace(image, kind="image_row", table=table, text=None if self.text is None else self.text.spec)

    def example(self) -> Inputs:
        """Return two rows of unknown pieces, average numbers and unknown categories."""
        inputs: Inputs = {THERE: torch.ones(2)}
        if self.text is not None:
            found = example_inputs(self.text.length, self.text.tokenizer)
            inputs |= {name: torch.from_numpy(value) for name, value in found.items()}
        return inputs if self.table is None else inputs | self.table.example()

    def missing(self, rows: int) -> Inputs:
        """Return rows that come without any columns."""
        return {name: value[:1].expand(rows, *value.shape[1:]) for name, value in self.example().items()} | {
            THERE: torch.zeros(rows)
        }

    def of_batch(self, rows: "pa.RecordBatch | pa.Table", how: Notation, path: Path, first_row: int) -> Inputs:
        """Return the inputs of rows of a file; `path` and `first_row` (from 0) are for messages.

        Raises:
            UserError: a column is missing, or a cell that must be a number is not one.
        """
        require_columns(self.columns, rows.schema.names, path)
        inputs: Inputs = {THERE: torch.ones(rows.num_rows)}
        if self.text is not None:
            texts = row_texts(rows, self.text.columns, path, first_row)
            pieces, _ = text_rows(self.text.tokenizer, texts, self.text.max_length)
            inputs |= padded_inputs(pieces, np.arange(len(pieces)), self.text.tokenizer.specials.pad)
        return inputs if self.table is None else inputs | self.table.of_batch(rows, how, path, first_row)

    def state(self) -> dict[str, Any]:
        """Return tensors and plain data for a checkpoint."""
        text = self.text and {
            "columns": list(self.text.columns),
            "tokenizer": self.text.tokenizer.state(),
            "max_length": self.text.max_length,
            "length": self.text.length,
        }
        return {"table": self.table and self.table.state(), "text": text}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Beside":
        """Return what `state` wrote."""
        table, text = state["table"], state["text"]
        if text is not None:
            longest = int(text["max_length"])
            length = checked_length(text["length"], longest)
            text = Text(tuple(map(str, text["columns"])), TextTokenizer.of(text["tokenizer"]), longest, length)
        return cls(None if table is None else TableInputs.of(table), text)


class BesideRows:
    """The inputs of any rows of one file, by their numbers.

    Args:
        beside: what was fitted.
        file: the file.
        table: its columns as they were read.
        folder: where pieces of large files are kept.
    """

    def __init__(self, beside: Beside, file: TableFile, table: Table, folder: Path) -> None:
        self._text, self._pieces = beside.text, None
        if beside.text is not None:
            self._pieces = file_rows(file, beside.text.columns, beside.text.tokenizer, beside.text.max_length, folder)
        self._table = None if beside.table is None else InputRows(beside.table, table)

    def __call__(self, rows: np.ndarray) -> Inputs:
        """Return the inputs of the rows at `rows` [B]."""
        inputs: Inputs = {THERE: torch.ones(len(rows))}
        if self._text is not None and self._pieces is not None:
            inputs |= padded_inputs(self._pieces, rows, self._text.tokenizer.specials.pad)
        return inputs if self._table is None else inputs | self._table(rows)


def fitted_text(
    columns: Sequence[str], tokenizer: TextTokenizer, file: TableFile, rows: np.ndarray, max_length: int, folder: Path
) -> Text:
    """Return columns of text with the median length of the training `rows` [N] of a file."""
    pieces = file_rows(file, columns, tokenizer, max_length, folder)
    return Text(tuple(columns), tokenizer, max_length, typical_length(pieces.lengths[rows]))
