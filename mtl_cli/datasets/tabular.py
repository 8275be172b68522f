"""A table from a CSV, TSV or Parquet file: numbers and categories in, any number of label fields out."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Sample
from mtl_cli.data_options import checked_batch_size
from mtl_cli.datasets.base import Dataset, DataSource
from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.columns import Declared, InputColumns, choose_inputs
from mtl_cli.tables.inputs import InputRows, TableInputs, require_columns
from mtl_cli.tables.labels import FittedTarget, Target, encode_target, fit_target, missing_target, parse_targets
from mtl_cli.tables.opening import Memory, open_profile, open_table
from mtl_cli.tables.paths import data_path
from mtl_cli.tables.reading import ReadOptions, TableFile
from mtl_cli.tables.rows import EncodedRows, StoredRows
from mtl_cli.tables.scaling import IMPUTE, SCALE, fit_scaler
from mtl_cli.tables.split_rules import SPLITS, SplitRules, check_groups_apart
from mtl_cli.tables.store import Layout, Table
from mtl_cli.tables.vocabulary import fit_vocabulary

logger = logging.getLogger("mtl_cli")
Parts = dict[str, tuple[Table, np.ndarray]]
"""Table and rows [N] of each split."""


class Tabular(DataSource):
    """Inputs: a mapping of `numeric` float32 [B, N] and `categorical` int64 [B, M]; one label field a target.

    How columns become inputs, labels and splits, and what becomes of bad input: mtl_cli/datasets/README.md. Files are
    read when the source is opened; what is fitted on training rows travels in `state_dict`. A source that was given a
    state can encode rows of any file (`reader`, `encode_rows`) without being opened.

    Args:
        root: folder that the paths are in, which they may not leave; None is the working directory.
        path: the file; its rows are divided unless `val_path` and `test_path` name the other splits.
        val_path: file of the validation rows.
        test_path: file of the test rows.
        format: auto (by the file's name), csv, tsv or parquet.
        delimiter: what separates cells; None is a comma, in TSV a tab.
        encoding: of CSV and TSV.
        column_names: of a file without a header.
        numeric: input columns that are numbers; None finds them.
        categorical: input columns that are categories; None finds them.
        drop: columns that are left out.
        targets: label fields, each with its kind and column(s).
        missing_values: what a cell without a value holds.
        impute: what a missing number becomes: mean, median, zero or constant.
        impute_value: the number for impute=constant.
        indicators: whether each number column with missing values in training gets an input that marks them.
        scale: standard or none.
        max_categories: categories of a column, the most frequent ones; the others are unknown. None keeps all.
        min_count: training rows that a category needs; a rarer one is unknown.
        split_column: column that says train, val or test.
        group_column: column whose groups are kept in one split.
        val_fraction: share of the rows for validation.
        test_fraction: share of the rows for test.
        split_seed: seed of the division.
        stratify: column or target whose values the splits have in equal shares; auto is the first with classes.
        folds: number of folds; the fold `fold` is the test split.
        fold: which of them, from 0.
        balance: class field whose classes are drawn equally often in training.
        memory_mb: a larger table stays on disk, memory-mapped from a cache.
        cache_dir: folder of that cache; None is the user's.
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
        numeric: Sequence[str] | None,
        categorical: Sequence[str] | None,
        drop: Sequence[str],
        targets: Mapping[str, Any],
        missing_values: Sequence[str | float],
        impute: str,
        impute_value: float,
        indicators: bool,
        scale: str,
        max_categories: int | None,
        min_count: int,
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
        reserved = tuple(name for name in (split_column, group_column) if name)
        lists = [None if names is None else tuple(names) for names in (numeric, categorical)]
        self._declared = Declared(lists[0], lists[1], tuple(drop), reserved)
        self._declared.check(self._targets)
        self._numbers = (impute, impute_value, indicators, scale)
        self._categories = (max_categories, min_count)
        check_fitting(impute, scale, max_categories, min_count)
        self._memory = Memory(memory_mb, cache_dir)
        self._inputs: TableInputs | None = None
        self._fitted: dict[str, FittedTarget] = {}
        self._splits: dict[str, Dataset] = {}
        self._was_loaded = False

    def open(self) -> None:
        """Read the files, divide the rows, and fit on the training rows unless a state was loaded.

        Raises:
            UserError: a file cannot be used; file, row and column are named.
        """
        file = self.reader(data_path(str(self._paths["path"]), self._root, "path"))
        chosen = self._choose(file)
        parts = self._divide(file, self._layout(file, chosen))
        if self._inputs is None:
            self._fit(chosen, *parts["train"])
        assert self._inputs is not None
        rows_of: dict[int, InputRows] = {}
        labels_of: dict[int, dict[str, Tensor]] = {}
        for name, (table, rows) in parts.items():
            if id(table) not in rows_of:
                rows_of[id(table)] = InputRows(self._inputs, table)
                labels_of[id(table)] = self._labels(table)
            at = torch.from_numpy(rows)
            fields = {field: labels.index_select(0, at) for field, labels in labels_of[id(table)].items()}
            inputs = rows_of[id(table)]
            in_memory = self._memory.holds(table.layout, len(table))
            self._splits[name] = EncodedRows(inputs(rows), fields) if in_memory else StoredRows(inputs, rows, fields)

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]

    def example(self) -> Sample:
        """Return two rows of average numbers and unknown categories: all that a table's shapes depend on."""
        return Sample(self._told().example(), {})

    def state_dict(self) -> dict[str, Any]:
        """Return input columns, statistics, vocabularies and targets."""
        return {"inputs": self._told().state(), "targets": {name: each.state() for name, each in self._fitted.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over input columns, statistics, vocabularies and targets; nothing is fitted then."""
        self._was_loaded = True
        self._take(TableInputs.of(state["inputs"]), {k: FittedTarget.of(each) for k, each in state["targets"].items()})

    def reader(self, path: Path) -> TableFile:
        """Return any file, read as this dataset's own: delimiter, encoding, missing values; format by its name if auto.

        Its `batches()` yield the number of the first row and a record batch of all columns, for `encode_rows`.

        Raises:
            UserError: it cannot be read.
        """
        return TableFile(path, self._read)

    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs, `numeric` and `categorical`, of rows as `reader(path).batches()` yields them.

        Uses what was fitted or loaded. A category that training never saw is 0, unknown; columns that are no input,
        labels among them, are not looked at and may be absent. `path` and `first_row` (from 0) are for messages.

        Raises:
            UserError: an input column is missing, or a cell is no number where one is needed.
        """
        return self._told().of_batch(rows, self._read.missing_values, path, first_row)

    def _told(self) -> TableInputs:
        assert self._inputs is not None, "the source is opened, or was given a state"
        return self._inputs

    def _take(self, inputs: TableInputs, fitted: dict[str, FittedTarget]) -> None:
        self._inputs, self._fitted = inputs, fitted
        self.input_spec = inputs.spec
        self.field_specs = {name: each.field_spec for name, each in fitted.items()}

    def _choose(self, file: TableFile) -> InputColumns:
        """Return the input columns: those of a loaded state, or those declared and found."""
        if self._inputs is not None:
            require_columns(self._inputs.columns, file.columns, file.path)
            return InputColumns(self._inputs.numbers, self._inputs.dates, self._inputs.texts)
        found = open_profile(file, self._declared.undeclared(file.columns, self._targets), self._memory)
        return choose_inputs(self._declared, self._targets, file, found)

    def _layout(self, file: TableFile, chosen: InputColumns) -> Layout:
        """Return how the columns of the main file are read."""
        dividing = self._rules.columns(self._targets)
        require_columns(dividing, file.columns, file.path)
        labels = [each for each in self._targets.values() if self._needs(each, file)]
        numbers = (*chosen.numbers, *(column for each in labels for column in each.numbers))
        texts = (*chosen.texts, *dividing, *(column for each in labels for column in each.texts))
        missing = {column: each.missing for each in labels for column in each.labels if each.missing}
        return Layout(tuple(dict.fromkeys(numbers)), chosen.dates, tuple(dict.fromkeys(texts)), missing)

    def _needs(self, target: Target, file: TableFile) -> bool:
        """True for a target that a file must have or has: with a loaded state it may lack some."""
        return not self._was_loaded or set(target.columns) <= set(file.columns)

    def _divide(self, file: TableFile, layout: Layout) -> Parts:
        """Return table and rows of each split."""
        table = self._table(file, layout)
        if len(table) < 2:
            raise UserError(f"{file.path} has {len(table)} row{'s' * (len(table) != 1)}; training needs 2 or more.")
        split = self._rules.assign(table, self._targets)
        parts = {name: (table, np.flatnonzero(split == number)) for name, number in SPLITS.items()}
        others = []
        for name in ("val", "test"):
            if path := self._paths[f"{name}_path"]:
                other = self.reader(data_path(path, self._root, f"{name}_path"))
                found = self._table(other, self._layout_of_other(other, layout))
                if not len(found):
                    raise UserError(
                        f"{other.path} has no rows, so the {name} split is empty. Give another {name}_path."
                    )
                parts[name] = (found, np.arange(len(found)))
                others.append(found)
        if self._rules.group:
            check_groups_apart([table, *(other for other in others if other.has(self._rules.group))], self._rules.group)
        return parts

    def _layout_of_other(self, file: TableFile, layout: Layout) -> Layout:
        """Return how the file of another split is read: like the main one, but for what it may lack."""
        splitting = {name for name in (self._rules.column, self._rules.strata(self._targets)) if name}
        answers = {column for target in self._targets.values() for column in target.columns}
        optional = splitting - answers | {self._rules.group}
        optional |= answers if self._was_loaded else set()
        wanted = {name for name in layout.columns if name in file.columns or name not in optional}
        require_columns(sorted(wanted), file.columns, file.path)

        def kept(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if name in wanted)

        missing = {name: values for name, values in layout.missing.items() if name in wanted}
        return Layout(kept(layout.numbers), kept(layout.dates), kept(layout.texts), missing)

    def _table(self, file: TableFile, layout: Layout) -> Table:
        known = self._declared.undeclared(file.columns, self._targets)
        rows = open_profile(file, [name for name in known if not self._was_loaded], self._memory).rows
        return open_table(file, layout, rows, self._memory)

    def _fit(self, chosen: InputColumns, table: Table, rows: np.ndarray) -> None:
        """Fit inputs and targets on the training rows."""
        impute, value, indicators, scale = self._numbers
        places = table.number_places([*chosen.numbers, *chosen.dates])
        scaler = fit_scaler(table.numbers, places, rows, impute, value, indicators, scale)
        vocabularies = []
        for name in chosen.texts:
            codes, values = table.text(name)
            vocabularies.append(fit_vocabulary(codes[rows], values, *self._categories))
            self._warn_of_names(table, name, codes[rows], vocabularies[-1].size - 1)
            left = len(set(values).difference(vocabularies[-1].values))
            if left:
                logger.info("%s, column '%s': %d of %d categories are unknown.", table.path, name, left, len(values))
        inputs = TableInputs(chosen.numbers, chosen.dates, chosen.texts, scaler, tuple(vocabularies))
        self._take(inputs, {name: fit_target(each, table, rows) for name, each in self._targets.items()})

    @staticmethod
    def _warn_of_names(table: Table, name: str, codes: np.ndarray, known: int) -> None:
        """Warn of a column in which nearly every row has a value of its own: as categories they say nothing."""
        count = int((codes >= 0).sum())
        if count >= 20 and known >= 0.95 * count:
            logger.warning(
                "%s, column '%s': nearly every row has a category of its own, such as '%s', which says little. "
                "Leave the column out (drop=[%s]), or write it as plain numbers (1234.5) if that is what it holds.",
                table.path, name, table.values[table.text_places([name])[0]][0], name,
            )  # fmt: skip

    def _labels(self, table: Table) -> dict[str, Tensor]:
        """Return the label fields of all rows of a table; a loaded state lets a file lack them."""
        fields = {}
        for name, each in self._fitted.items():
            if all(table.has(column) for column in each.target.columns):
                fields[name] = encode_target(each, table)
            else:
                absent = ", ".join(column for column in each.target.columns if not table.has(column))
                logger.warning("%s has no column %s: every label of '%s' is missing.", table.path, absent, name)
                fields[name] = missing_target(each, len(table))
        return fields


def check_fitting(impute: str, scale: str, max_categories: int | None, min_count: int) -> None:
    """Refuse options of fitting that are none.

    Raises:
        UserError: every one.
    """
    problems = []
    if impute not in IMPUTE:
        problems.append(f"impute is '{impute}'; it is one of {', '.join(IMPUTE)}. Use impute=mean.")
    if scale not in SCALE:
        problems.append(f"scale is '{scale}'; it is one of {', '.join(SCALE)}. Use scale=standard.")
    if max_categories is not None and max_categories < 1:
        problems.append(f"max_categories is {max_categories}; it is 1 or more, or null. Use max_categories=10000.")
    if min_count < 1:
        problems.append(f"min_count is {min_count}; it is 1 or more. Use min_count=1.")
    if problems:
        raise UserError(problems)
