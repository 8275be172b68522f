"""What datasets of texts in files of rows have in common: columns of text, a tokenizer, table columns beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputPlace, InputSpec, Sample
from mtl_cli.config.options import option
from mtl_cli.datasets.base import Dataset
from mtl_cli.datasets.file_base import BalancedFileOptions, Maker, fitted, taken
from mtl_cli.datasets.table_file_base import TableFileSource
from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.columns import Declared
from mtl_cli.tables.formats import open_file
from mtl_cli.tables.inputs import ColumnOptions, InputRows, TableInputs
from mtl_cli.tables.labels import Target, parse_targets
from mtl_cli.tables.opening import Memory
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns
from mtl_cli.tables.store import Table
from mtl_cli.tables.stratified_rules import StratifiedRules
from mtl_cli.texts.columns import file_rows
from mtl_cli.texts.encoding import checked_length, example_inputs, text_rows, typical_length
from mtl_cli.texts.ragged import Ragged
from mtl_cli.texts.reading import row_texts
from mtl_cli.texts.rows import TextRows, padded_inputs
from mtl_cli.texts.tokenizer import TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import fit_tokenizer


@dataclass(frozen=True, kw_only=True)
class TextColumns(ColumnOptions):
    """Columns of text, and table columns that are inputs beside them: by default there are none."""

    text: str | Sequence[str]
    """The column, or the columns, of text; several stand side by side with a separator between them."""
    numeric: Sequence[str] | None = ()
    categorical: Sequence[str] | None = ()
    min_category_count: int = option(1, low=1)
    """Training rows that a category needs; a rarer one is unknown."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of text."""
        return (self.text,) if isinstance(self.text, str) else tuple(self.text)


class TextFileSource(TableFileSource):
    """Inputs: a mapping of `ids` int64 [B, L] and `mask` bool [B, L], padded to the longest text of the batch.

    With table columns also `numeric` float32 [B, N] and `categorical` int64 [B, M], one row per text, as in `Tabular`.

    Targets, splits, missing labels and bad input are as in `Tabular`; mtl_cli/datasets/README.md describes what only
    texts have. The tokenizer is trained on the training rows and travels in `state_dict` with the
    targets. A source that was given a state can encode rows of any file (`reader`, `encode_rows`) without being opened.

    Args:
        targets: label fields, each with its kind and column(s).
        files: the file.
        splits: how its rows are divided.
        reading: how files are read.
        columns: the columns of text, and the table columns beside them.
        tokenizer: how texts are cut.
        memory: how large a table may be before it stays on disk.

    Raises:
        UserError: a column is the text and something else.
    """

    def __init__(
        self,
        targets: Mapping[str, Any],
        *,
        files: BalancedFileOptions,
        splits: StratifiedRules,
        reading: ReadOptions,
        columns: TextColumns,
        tokenizer: TokenizerOptions,
        memory: Memory,
    ) -> None:
        super().__init__(
            files=files,
            splits=splits,
            reading=reading,
            columns=columns,
            memory=memory,
            targets=parse_targets(targets),
            texts=columns.texts,
        )
        self._columns, self._options = columns, tokenizer
        self._tokenizer: TextTokenizer | None = None
        self._length = 2
        self._pieces: dict[Path, Ragged] = {}

    def check_targets(self) -> None:
        """Compare the targets with the columns of text too."""
        super().check_targets()
        check_columns(self._texts, self._targets, self._declared)
        self.check_written()

    def check_written(self) -> None:
        """Refuse to write what is read.

        Raises:
            UserError: a text to be written is an input.
        """
        for target in self._writing.values():
            if target.column in self._texts:
                raise UserError(
                    f"Column '{target.column}' is the text and what {target.where} writes: the answer would leak into "
                    "the question. Leave it out of one of them."
                )

    def example(self) -> Sample:
        """Return two rows of unknown pieces, of the median length and half of it; shapes depend on nothing else.

        Table columns hold average numbers and unknown categories.
        """
        inputs = {
            k: torch.from_numpy(value) for k, value in example_inputs(self._length, fitted(self._tokenizer)).items()
        }
        return Sample(inputs if self._inputs is None else {**inputs, **self._inputs.example()}, {})

    def reader(self, path: Path) -> TableFile:
        """Return any file, read as this dataset's own; where the format is auto, it goes by the file's name.

        Raises:
            UserError: it cannot be read.
        """
        return open_file(path, self._reading)

    def text_preprocessing(self) -> dict[str, Any]:
        """Return the columns of text, the tokenizer and the longest row."""
        state, longest = fitted(self._tokenizer).state(), self._options.max_length
        return {"columns": list(self._texts), "tokenizer": state, "max_length": longest}

    @property
    def text_alone(self) -> str | None:
        """The column of text, where there is one and no table column."""
        return self._texts[0] if len(self._texts) == 1 and self._inputs is None else None

    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs, `ids`, `mask` and table columns, of rows as `reader(path).batches()` yields them.

        Columns that are not inputs are not read and may be absent. `path` and `first_row` (from 0) are for messages.

        Raises:
            UserError: an input column is missing or does not hold text, or a cell that must be a number is not one.
        """
        columns = [] if self._inputs is None else self._inputs.columns
        require_columns([*self._texts, *columns], rows.schema.names, path)
        texts = row_texts(rows, self._texts, path, first_row)
        pieces, _ = text_rows(fitted(self._tokenizer), texts, self._options.max_length)
        inputs = padded_inputs(pieces, np.arange(len(pieces)), fitted(self._tokenizer).specials.pad)
        if self._inputs is None:
            return inputs
        return inputs | self._inputs.of_batch(rows, self._reading.notation, path, first_row)

    def named_inputs(self) -> dict[str, list[InputPlace]]:
        """Return where the text and the columns beside it lie in the inputs."""
        columns = {} if self._inputs is None else self._inputs.places
        return {"+".join(self._texts): [InputPlace("ids"), InputPlace("mask")], **columns}

    @property
    def tokenizer(self) -> TextTokenizer | None:
        """What cuts texts into pieces."""
        return self._tokenizer

    def input_state(self) -> dict[str, Any]:
        """Return the tokenizer, the median length of a row, and the table columns where there are any."""
        table = None if self._inputs is None else self._inputs.state()
        return {"tokenizer": fitted(self._tokenizer).state(), "length": self._length, "table": table}

    def load_inputs(self, state: Mapping[str, Any]) -> None:
        """Take over tokenizer, length and table columns."""
        self._length = checked_length(state["length"], self._options.max_length)
        table = state.get("table")  # checkpoints from before there were table columns lack it
        self._take(self.tokenizer_of(state["tokenizer"]), None if table is None else TableInputs.of(table))

    def _take(self, tokenizer: TextTokenizer, inputs: TableInputs | None) -> None:
        self._tokenizer, self._inputs = tokenizer, inputs
        self.input_spec = InputSpec("text", (), (tokenizer.size,), tokenizer.path)
        if inputs is not None:
            self.input_spec = replace(self.input_spec, kind="text_table", table=inputs.spec)

    def fit(self, found: Table, rows: np.ndarray) -> None:
        """Fit the targets and the table columns, and train the tokenizer on the texts."""
        self.fit_targets(found, rows)
        file = self._files[found.path]
        inputs = self._fitted_columns(found, rows)
        self._take(self.fit_tokenizer(file, rows), inputs)
        self._length = typical_length(self.cut_file(found).lengths[rows])

    def fit_tokenizer(self, file: TableFile, rows: np.ndarray) -> TextTokenizer:
        """Return the tokenizer, trained on the training `rows` [N] of a file unless it is that of a model."""
        return fit_tokenizer(self._options, file, self._texts, rows, self._memory.path)

    def tokenizer_of(self, state: Mapping[str, Any]) -> TextTokenizer:
        """Return the tokenizer of a checkpoint."""
        return TextTokenizer.of(state)

    def _fitted_columns(self, found: Table, rows: np.ndarray) -> TableInputs | None:
        least = self._columns.min_category_count
        return self._columns.fitted(self._chosen, found, rows, least) if self._chosen.any else None

    def cut_file(self, table: Table) -> Ragged:
        """Return the pieces of all rows of a file."""
        if table.path not in self._pieces:
            how = self._texts, fitted(self._tokenizer), self._options.max_length, self._memory.path
            self._pieces[table.path] = file_rows(self._files[table.path], *how)
        return self._pieces[table.path]

    def encode(self, found: Table) -> Maker:
        """Return what makes a dataset of some texts, with their table columns."""
        pieces, labels, pad = self.cut_file(found), self.label_fields(found), fitted(self._tokenizer).specials.pad
        inputs = None if self._inputs is None else InputRows(self._inputs, found)

        def make(rows: np.ndarray) -> Dataset:
            table = None if inputs is None else self.chosen_rows(inputs, found, rows, {})
            return TextRows(pieces, rows, taken(labels, rows), pad, table=table)

        return make


def check_columns(columns: Sequence[str], targets: Mapping[str, Target], declared: Declared) -> None:
    """Compare the columns of text with each other, with the targets and with the table columns.

    Raises:
        UserError: there is no column of text, one comes twice, or one is a target or a table column.
    """
    if not columns or len(set(columns)) < len(columns):
        raise UserError(f"text is {list(columns)}; it names the column of text, or several, each once: text=review.")
    if twice := [column for column in columns if column in (*declared.listed, *declared.drop)]:
        raise UserError(
            f"Column '{twice[0]}' is the text and in numeric, categorical or drop. Leave it out of one of them."
        )
    answers = {column: target.name for target in targets.values() for column in target.labels}
    if both := [column for column in columns if column in answers]:
        raise UserError(
            f"Column '{both[0]}' is the text and the target '{answers[both[0]]}': the answer would leak into the "
            "question. Leave it out of text or of targets."
        )
