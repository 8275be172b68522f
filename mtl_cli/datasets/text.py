"""Texts from a CSV, TSV, JSONL or Parquet file, alone or beside table columns, with any number of label fields."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputSpec, Sample
from mtl_cli.datasets.base import Dataset
from mtl_cli.datasets.file_base import Maker, taken
from mtl_cli.datasets.table_base import TableFileSource
from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.columns import Declared
from mtl_cli.tables.inputs import Fitting, InputRows, TableInputs
from mtl_cli.tables.labels import Target, parse_targets
from mtl_cli.tables.opening import Memory
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns
from mtl_cli.tables.split_rules import SplitRules
from mtl_cli.tables.store import Table
from mtl_cli.texts.columns import file_rows, row_texts
from mtl_cli.texts.encoding import checked_length, example_inputs, text_rows, typical_length
from mtl_cli.texts.json_lines import open_file
from mtl_cli.texts.ragged import Ragged
from mtl_cli.texts.rows import TextRows, padded_inputs
from mtl_cli.texts.tokenizer import TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import fit_tokenizer


class Text(TableFileSource):
    """Inputs: a mapping of `ids` int64 [B, L] and `mask` bool [B, L], padded to the longest text of the batch.

    With table columns also `numeric` float32 [B, N] and `categorical` int64 [B, M], one row a text: those of `Tabular`.

    Targets, splits, missing labels and bad input are those of `Tabular`; what is of texts only is told in
    mtl_cli/datasets/README.md. The tokenizer is trained on the training rows and travels in `state_dict` with the
    targets. A source that was given a state can encode rows of any file (`reader`, `encode_rows`) without being opened.

    Args:
        root: folder that the paths are in, which they may not leave; None is the working directory.
        path: the file; its rows are divided unless `val_path` and `test_path` name the other splits.
        val_path: file of the validation rows.
        test_path: file of the test rows.
        format: auto (by the file's name), csv, tsv, jsonl or parquet.
        delimiter: what separates cells; None is a comma, in TSV a tab.
        encoding: of CSV and TSV.
        column_names: of a file without a header.
        text: the column, or the columns, of text; several stand side by side with a separator between them.
        targets: label fields, each with its kind and column(s).
        missing_values: what a cell without a label holds; a text is taken as it stands.
        tokenizer: bpe, wordpiece, words or characters, trained; or hf, that of a pretrained model.
        tokenizer_path: folder or hub name of that model.
        vocab_size: pieces of a trained tokenizer, at most.
        min_count: times that a piece must occur in training.
        lowercase: whether capitals are made small.
        max_length: pieces of a text; the end of a longer one is cut off, and the log says of how many.
        split_column: column that says train, val or test.
        group_column: column whose groups are kept in one split.
        val_fraction: share of the rows for validation.
        test_fraction: share of the rows for test.
        split_seed: seed of the division.
        stratify: column or target whose values the splits have in equal shares; auto is the first with classes.
        folds: number of folds; the fold `fold` is the test split.
        fold: which of them, from 0.
        balance: class field whose classes are drawn equally often in training.
        memory_mb: a larger table of labels stays on disk, memory-mapped from a cache.
        cache_dir: folder of what was tokenised and of that cache; None is the user's.
        batch_size: rows drawn a step.
        numeric: table columns of numbers or dates that are inputs beside the text; None finds them.
        categorical: table columns of categories that are inputs; None finds them.
        drop: columns that are left out where others are found.
        impute: what a missing number becomes: mean, median, zero or constant.
        impute_value: the number for impute=constant.
        indicators: whether each number column with missing values in training gets an input that marks them.
        scale: standard or none.
        max_categories: categories of a column, the most frequent ones; the others are unknown. None keeps all.
        min_category_count: training rows that a category needs; a rarer one is unknown.

    Raises:
        UserError: an option does not fit.
    """

    def __init__(
        self,
        root: str | None,
        path: str,
        val_path: str | None,
        test_path: str | None,
        format: str,
        delimiter: str | None,
        encoding: str,
        column_names: Sequence[str] | None,
        text: str | Sequence[str],
        targets: Mapping[str, Any],
        missing_values: Sequence[str | float],
        tokenizer: str,
        tokenizer_path: str | None,
        vocab_size: int,
        min_count: int,
        lowercase: bool,
        max_length: int,
        split_column: str | None,
        group_column: str | None,
        val_fraction: float,
        test_fraction: float,
        split_seed: int,
        stratify: str | None,
        folds: int | None,
        fold: int,
        balance: str | None,
        memory_mb: float,
        cache_dir: str | None,
        batch_size: int,
        numeric: Sequence[str] | None = (),
        categorical: Sequence[str] | None = (),
        drop: Sequence[str] = (),
        impute: str = "mean",
        impute_value: float = 0.0,
        indicators: bool = True,
        scale: str = "standard",
        max_categories: int | None = 10000,
        min_category_count: int = 1,
    ) -> None:
        names = None if column_names is None else tuple(column_names)
        rules = SplitRules(
            val_path,
            test_path,
            split_column,
            group_column,
            val_fraction,
            test_fraction,
            split_seed,
            stratify,
            folds,
            fold,
        )
        self._columns = (text,) if isinstance(text, str) else tuple(text)
        declared = Declared.of(numeric, categorical, drop, (split_column, group_column, *self._columns))
        super().__init__(
            root,
            path,
            rules,
            parse_targets(targets),
            balance,
            batch_size,
            read=ReadOptions(format, delimiter, encoding, tuple(map(str, missing_values)), names),
            memory=Memory(memory_mb, cache_dir),
            declared=declared,
            texts=self._columns,
        )
        self._fitting = Fitting(
            impute, impute_value, indicators, scale, max_categories, min_category_count, "min_category_count"
        )
        self._fitting.check()
        self._options = TokenizerOptions(tokenizer, tokenizer_path, vocab_size, min_count, lowercase, max_length)
        self._options.check()
        self._tokenizer: TextTokenizer | None = None
        self._length = 2
        self._pieces: dict[Path, Ragged] = {}

    def _check_targets(self) -> None:
        super()._check_targets()
        check_columns(self._columns, self._targets, self._declared)

    def example(self) -> Sample:
        """Return two rows of unknown pieces, of the median length and half of it: all that shapes depend on.

        Table columns hold average numbers and unknown categories.
        """
        inputs = {k: torch.from_numpy(value) for k, value in example_inputs(self._length, self._cutter()).items()}
        return Sample(inputs if self._inputs is None else {**inputs, **self._inputs.example()}, {})

    def reader(self, path: Path) -> TableFile:
        """Return any file, read as this dataset's own; format by its name if auto.

        Raises:
            UserError: it cannot be read.
        """
        return open_file(path, self._read_options)

    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs, `ids`, `mask` and table columns, of rows as `reader(path).batches()` yields them.

        Columns that are no input are not looked at and may be absent. `path` and `first_row` (from 0) are for messages.

        Raises:
            UserError: an input column is missing, holds no text, or a cell is no number where one is needed.
        """
        columns = [] if self._inputs is None else self._inputs.columns
        require_columns([*self._columns, *columns], rows.schema.names, path)
        texts = row_texts(rows, self._columns, path, first_row)
        pieces, _ = text_rows(self._cutter(), texts, self._options.max_length)
        inputs = padded_inputs(pieces, np.arange(len(pieces)), self._cutter().specials.pad)
        if self._inputs is None:
            return inputs
        return inputs | self._inputs.of_batch(rows, self._read_options.missing_values, path, first_row)

    def _input_state(self) -> dict[str, Any]:
        table = None if self._inputs is None else self._inputs.state()
        return {"tokenizer": self._cutter().state(), "length": self._length, "table": table}

    def _load_inputs(self, state: Mapping[str, Any]) -> None:
        self._length = checked_length(state["length"], self._options.max_length)
        table = state.get("table")  # absent from checkpoints of before there were table columns
        self._take(TextTokenizer.of(state["tokenizer"]), None if table is None else TableInputs.of(table))

    def _take(self, tokenizer: TextTokenizer, inputs: TableInputs | None) -> None:
        self._tokenizer, self._inputs = tokenizer, inputs
        self.input_spec = InputSpec("text", (), (tokenizer.size,), tokenizer.path)
        if inputs is not None:
            self.input_spec = replace(self.input_spec, kind="text_table", table=inputs.spec)

    def _fit(self, found: Table, rows: np.ndarray) -> None:
        self._fit_targets(found, rows)
        file = self._files[found.path]
        inputs = self._fitting.inputs(self._chosen, found, rows) if self._chosen.any else None
        self._take(fit_tokenizer(self._options, file, self._columns, rows, self._memory.path), inputs)
        self._length = typical_length(self._cut(found).lengths[rows])

    def _cut(self, table: Table) -> Ragged:
        """Return the pieces of all rows of a file."""
        if table.path not in self._pieces:
            how = self._columns, self._cutter(), self._options.max_length, self._memory.path
            self._pieces[table.path] = file_rows(self._files[table.path], *how)
        return self._pieces[table.path]

    def _encode(self, found: Table) -> Maker:
        pieces, labels, pad = self._cut(found), self._labels(found), self._cutter().specials.pad
        inputs = None if self._inputs is None else InputRows(self._inputs, found)

        def make(rows: np.ndarray) -> Dataset:
            table = None if inputs is None else self._rows(inputs, found, rows, {})
            return TextRows(pieces, rows, taken(labels, rows), pad, table=table)

        return make

    def _cutter(self) -> TextTokenizer:
        assert self._tokenizer is not None, "the source is opened, or was given a state"
        return self._tokenizer


def check_columns(columns: Sequence[str], targets: Mapping[str, Target], declared: Declared) -> None:
    """Compare the columns of text with each other, with the targets and with the table columns.

    Raises:
        UserError: there is none, one comes twice, or one is a target or a table column.
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
