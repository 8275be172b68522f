"""Texts from a CSV, TSV, JSONL or Parquet file: pieces of text columns in, any number of label fields out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputSpec, Sample
from mtl_cli.data_options import checked_batch_size
from mtl_cli.datasets.base import Dataset, DataSource
from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.inputs import require_columns
from mtl_cli.tables.labels import FittedTarget, Target, encode_target, fit_target, missing_target, parse_targets
from mtl_cli.tables.opening import Memory, open_profile, open_table
from mtl_cli.tables.paths import data_path
from mtl_cli.tables.reading import ReadOptions, TableFile
from mtl_cli.tables.split_rules import SPLITS, SplitRules, check_groups_apart
from mtl_cli.tables.store import Layout, Table
from mtl_cli.texts.columns import file_rows, row_texts
from mtl_cli.texts.encoding import example_inputs, text_rows, typical_length
from mtl_cli.texts.json_lines import open_file
from mtl_cli.texts.ragged import Ragged
from mtl_cli.texts.rows import TextRows, padded_inputs
from mtl_cli.texts.tokenizer import TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import fit_tokenizer

logger = logging.getLogger("mtl_cli")


@dataclass(frozen=True)
class Part:
    """One split: a file, its table of labels and the rows [N] of the split."""

    file: TableFile
    table: Table
    rows: np.ndarray


class Text(DataSource):
    """Inputs: a mapping of `ids` int64 [B, L] and `mask` bool [B, L], padded to the longest text of the batch.

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
    ) -> None:
        self.batch_size, self.balance = checked_batch_size(batch_size), balance
        self._root, self._paths = root, {"path": path, "val_path": val_path, "test_path": test_path}
        names = None if column_names is None else tuple(column_names)
        self._read = ReadOptions(format, delimiter, encoding, tuple(map(str, missing_values)), names)
        self._rules = SplitRules(
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
        self._rules.check()
        self._targets = parse_targets(targets)
        self._columns = (text,) if isinstance(text, str) else tuple(text)
        check_columns(self._columns, self._targets)
        self._options = TokenizerOptions(tokenizer, tokenizer_path, vocab_size, min_count, lowercase, max_length)
        self._options.check()
        self._memory = Memory(memory_mb, cache_dir)
        self._tokenizer: TextTokenizer | None = None
        self._length = 2
        self._fitted: dict[str, FittedTarget] = {}
        self._splits: dict[str, Dataset] = {}
        self._was_loaded = False

    def open(self) -> None:
        """Read the files, divide the rows, train the tokenizer and fit the targets unless a state was loaded, tokenise.

        Raises:
            UserError: a file cannot be used; file, row and column are named.
        """
        parts = self._divide()
        train = parts["train"]
        if self._tokenizer is None:
            fitted = {name: fit_target(each, train.table, train.rows) for name, each in self._targets.items()}
            tokenizer = fit_tokenizer(self._options, train.file, self._columns, train.rows, self._memory.path)
            self._take(tokenizer, self._length, fitted)
        tokenizer = self._told()
        pieces: dict[Path, Ragged] = {}
        labels: dict[Path, dict[str, Tensor]] = {}
        for name, part in parts.items():
            path = part.file.path
            if path not in pieces:
                pieces[path] = file_rows(
                    part.file, self._columns, tokenizer, self._options.max_length, self._memory.path
                )
                labels[path] = self._labels(part.table)
            at = torch.from_numpy(part.rows)
            fields = {field: each.index_select(0, at) for field, each in labels[path].items()}
            self._splits[name] = TextRows(pieces[path], part.rows, fields, tokenizer.specials.pad)
        if not self._was_loaded:
            self._length = typical_length(pieces[train.file.path].lengths[train.rows])

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]

    def example(self) -> Sample:
        """Return two rows of unknown pieces, of the median length and half of it: all that shapes depend on."""
        inputs = example_inputs(self._length, self._told())
        return Sample({name: torch.from_numpy(value) for name, value in inputs.items()}, {})

    def state_dict(self) -> dict[str, Any]:
        """Return the tokenizer, the median length of the training texts, and the targets."""
        targets = {name: each.state() for name, each in self._fitted.items()}
        return {"tokenizer": self._told().state(), "length": self._length, "targets": targets}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over tokenizer and targets; nothing is fitted then."""
        self._was_loaded = True
        fitted = {name: FittedTarget.of(each) for name, each in state["targets"].items()}
        self._take(TextTokenizer.of(state["tokenizer"]), state["length"], fitted)

    def reader(self, path: Path) -> TableFile:
        """Return any file, read as this dataset's own; format by its name if auto.

        Raises:
            UserError: it cannot be read.
        """
        return open_file(path, self._read)

    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs, `ids` and `mask`, of rows as `reader(path).batches()` yields them.

        Columns that are no text are not looked at and may be absent. `path` and `first_row` (from 0) are for messages.

        Raises:
            UserError: a text column is missing, or holds no text.
        """
        require_columns(self._columns, rows.schema.names, path)
        texts = row_texts(rows, self._columns, path, first_row)
        pieces, _ = text_rows(self._told(), texts, self._options.max_length)
        return padded_inputs(pieces, np.arange(len(pieces)), self._told().specials.pad)

    def _told(self) -> TextTokenizer:
        assert self._tokenizer is not None, "the source is opened, or was given a state"
        return self._tokenizer

    def _take(self, tokenizer: TextTokenizer, length: int, fitted: dict[str, FittedTarget]) -> None:
        self._tokenizer, self._length, self._fitted = tokenizer, length, fitted
        self.input_spec = InputSpec("text", (), (tokenizer.size,), tokenizer.path)
        self.field_specs = {name: each.field_spec for name, each in fitted.items()}

    def _divide(self) -> dict[str, Part]:
        """Return each split."""
        main, table = self._open("path", optional=set())
        if len(table) < 2:
            raise UserError(f"{main.path} has {len(table)} row{'s' * (len(table) != 1)}; training needs 2 or more.")
        split = self._rules.assign(table, self._targets)
        parts = {name: Part(main, table, np.flatnonzero(split == number)) for name, number in SPLITS.items()}
        dividing = {name for name in (self._rules.column, self._rules.group) if name}
        for name in ("val", "test"):
            if self._paths[f"{name}_path"]:
                file, found = self._open(f"{name}_path", optional=dividing)
                if not len(found):
                    raise UserError(f"{file.path} has no rows, so the {name} split is empty. Give another {name}_path.")
                parts[name] = Part(file, found, np.arange(len(found)))
        if self._rules.group:
            tables = list({id(part.table): part.table for part in parts.values()}.values())
            check_groups_apart([each for each in tables if each.has(self._rules.group)], self._rules.group)
        return parts

    def _open(self, key: str, optional: set[str]) -> tuple[TableFile, Table]:
        """Return a file and the table of its labels and dividing columns; some may be lacking."""
        file = self.reader(data_path(str(self._paths[key]), self._root, key))
        targets = [each for each in self._targets.values() if not self._was_loaded or self._has(file, each)]
        dividing = self._rules.columns({each.name: each for each in targets})
        dividing = [name for name in dividing if name not in optional or name in file.columns]
        texts = list(dict.fromkeys([*dividing, *(column for each in targets for column in each.texts)]))
        numbers = list(dict.fromkeys(column for each in targets for column in each.numbers))
        require_columns([*self._columns, *texts, *numbers], file.columns, file.path)
        missing = {column: each.missing for each in targets for column in each.labels if each.missing}
        rows = open_profile(file, [], self._memory).rows
        return file, open_table(file, Layout(tuple(numbers), (), tuple(texts), missing), rows, self._memory)

    def _has(self, file: TableFile, target: Target) -> bool:
        return set(target.columns) <= set(file.columns)

    def _labels(self, table: Table) -> dict[str, Tensor]:
        """Return the label fields of all rows of a table; a loaded state lets a file lack them."""
        fields = {}
        for name, each in self._fitted.items():
            if all(table.has(column) for column in each.target.columns):
                fields[name] = encode_target(each, table)
            else:
                logger.warning("%s lacks a column of '%s': every label of it is missing.", table.path, name)
                fields[name] = missing_target(each, len(table))
        return fields


def check_columns(columns: Sequence[str], targets: Mapping[str, Target]) -> None:
    """Compare the columns of text with each other and with the targets.

    Raises:
        UserError: there is none, one comes twice, or one is a target.
    """
    if not columns or len(set(columns)) < len(columns):
        raise UserError(f"text is {list(columns)}; it names the column of text, or several, each once: text=review.")
    answers = {column: target.name for target in targets.values() for column in target.labels}
    if both := [column for column in columns if column in answers]:
        raise UserError(
            f"Column '{both[0]}' is the text and the target '{answers[both[0]]}': the answer would leak into the "
            "question. Leave it out of text or of targets."
        )
