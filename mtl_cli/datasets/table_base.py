"""What datasets on files of tables have in common: columns of inputs, labels and splits, read at once."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtl_cli.batch import WantedField
from mtl_cli.datasets.base import Dataset, as_split
from mtl_cli.datasets.file_base import BalancedFileOptions, FileSource, Maker
from mtl_cli.errors import UserError, nearest, some
from mtl_cli.tables.columns import Declared, InputColumns, choose_inputs
from mtl_cli.tables.formats import open_file
from mtl_cli.tables.inputs import ColumnOptions, InputRows, TableInputs
from mtl_cli.tables.labels import (
    Target,
    encode_all,
    fit_target,
    missing_target,
    parse_wanted,
    undeclared,
    weight_fields,
)
from mtl_cli.tables.layouts import LayoutPlan
from mtl_cli.tables.opening import Memory, open_table
from mtl_cli.tables.profile import Profile
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns
from mtl_cli.tables.rows import EncodedRows, StoredRows
from mtl_cli.tables.store import Layout, Table
from mtl_cli.tables.stratified_rules import StratifiedRules
from mtl_cli.tables.whole_column import WholeColumn, read_column
from mtl_cli.texts.written import KIND as WRITING
from mtl_cli.texts.written import FittedWriting, WrittenTarget, fit_writing, parse_written, written_rows
from mtl_cli.texts.written_rows import WithWriting, WrittenRows, absent_rows

logger = logging.getLogger("mtl_cli")
SENTENCES, ARRAYS = (".conll", ".conllu", ".conllup"), (".npz", ".npy")
"""Endings of files that do not hold a table."""


class ColumnSource(FileSource[Table]):
    """A dataset whose rows are those of tables: some columns are labels, others say how rows are divided.

    What its inputs are, columns or something that columns name, a subclass knows.

    Args:
        files, splits, targets: see `FileSource`.
        reading: how files are read.
        columns: which columns are inputs, and how they become numbers.
        memory: how large a table may be before it stays on disk.
        texts: columns that are inputs of another kind, which a subclass reads by itself.
    """

    def __init__(
        self,
        *,
        files: BalancedFileOptions,
        splits: StratifiedRules,
        reading: ReadOptions,
        columns: ColumnOptions,
        memory: Memory,
        targets: Mapping[str, Target],
        texts: tuple[str, ...] = (),
    ) -> None:
        super().__init__(files=files, splits=splits, targets=targets)
        reserved = (*splits.reserved, *texts)
        self._declared = Declared.of(columns.numeric, columns.categorical, columns.drop, reserved)
        self._reading, self._memory, self._texts = reading, memory, texts
        self._inputs: TableInputs | None = None
        self._chosen = InputColumns((), (), ())
        self._layout = Layout((), (), ())
        self._empty: list[str] = []
        self._files: dict[Path, TableFile] = {}
        self._writing: dict[str, WrittenTarget] = {}
        self._fitted_writing: dict[str, FittedWriting] = {}
        self.check_targets()

    def want(self, fields: Sequence[WantedField]) -> None:
        """Read the fields that `targets` does not declare as the tasks say."""
        wanted = undeclared(fields, self._targets)
        self._writing = {name: parse_written(each) for name, each in wanted.items() if each.kind == WRITING}
        self._targets |= parse_wanted({name: each for name, each in wanted.items() if name not in self._writing})
        self._declared = replace(self._declared, reserved=(*self._declared.reserved, *self.written_columns))
        self.check_targets()

    @property
    def written_columns(self) -> list[str]:
        """Columns of texts to be written."""
        return list(dict.fromkeys(each.column for each in self._writing.values()))

    def check_targets(self) -> None:
        """Compare the targets with the columns that are inputs.

        Raises:
            UserError: the answer would leak into the question.
        """
        self._declared.check(self._targets)
        for name in self.written_columns:
            if name in self._declared.listed:
                raise UserError(
                    f"Column '{name}' is an input and a text to be written: the answer would leak into the question. "
                    "Leave it out of numeric and categorical."
                )

    def reader(self, path: Path) -> TableFile:
        """Return any file, read as this dataset's own: delimiter, encoding, missing values.

        Where the format is auto, it goes by the file's name. `batches()` yields the number of the first row and a
        record batch of all columns, for `encode_rows`.

        Raises:
            UserError: it cannot be read.
        """
        return open_file(path, self._reading)

    def reads(self, path: Path) -> bool:
        """Return True unless the name is that of labelled words or arrays."""
        return path.suffix.lower() not in (*SENTENCES, *ARRAYS)

    def fit_targets(self, table: Table, rows: np.ndarray) -> None:
        """Fit the targets on the training `rows` [N] of a table, and keep them."""
        file = self._files[table.path]
        self._fitted_writing = {name: self.fit_writing(each, file, rows) for name, each in self._writing.items()}
        self.keep_targets({name: fit_target(each, table, rows) for name, each in self._targets.items()})

    def fit_writing(self, target: WrittenTarget, file: TableFile, rows: np.ndarray) -> FittedWriting:
        """Return a text to be written, fitted on the training `rows` [N] of a file."""
        return fit_writing(target, file, rows)

    def keep_targets(self, fitted: Mapping[str, Any]) -> None:
        """Keep the fitted targets, beside those of texts to be written."""
        super().keep_targets(fitted)
        written = {name: each.field_spec for name, each in self._fitted_writing.items()}
        self.field_specs = {**self.field_specs, **written}

    def state_dict(self) -> dict[str, Any]:
        """Return what was fitted, with the texts to be written where there are some."""
        written = {name: each.state() for name, each in self._fitted_writing.items()}
        return super().state_dict() | ({"written": written} if written else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what an earlier run fitted."""
        self._fitted_writing = {name: FittedWriting.of(each) for name, each in state.get("written", {}).items()}
        super().load_state_dict(state)

    def maker(self, found: Table) -> Maker:
        """Return what makes a dataset of some rows, with the texts to be written."""
        make = self.encode(found)
        if not self._fitted_writing:
            return make
        file = self._files[found.path]
        written = {name: self._written(each, file, len(found)) for name, each in self._fitted_writing.items()}

        def make_with_writing(rows: np.ndarray) -> Dataset:
            return WithWriting(as_split(make(rows)), written, self.kept(found, rows))

        return make_with_writing

    def _written(self, fitted: FittedWriting, file: TableFile, rows: int) -> WrittenRows:
        """Return the texts to be written of a file; a loaded state lets it lack them."""
        if fitted.target.column in file.columns:
            return written_rows(fitted, file)
        logger.warning("%s has no column %s: no row has a text of it.", file.path, fitted.target.column)
        return absent_rows(rows)

    def read_rows(self, key: str) -> Table:
        """Return the columns of a file that inputs, targets and splits need."""
        path = self.path_of(key)
        file = self._files[path] = self.reader(path)
        file.fitted = self._was_loaded
        divided = key == "path"
        looked: list[str] = []
        if divided:
            looked = [] if self._was_loaded else self._declared.looked_at(file.columns, self._targets)
            looked += [name for name in self._rules.times if name in file.columns and name not in looked]

        def plan(profile: Profile) -> Layout:
            if key not in ("path", "input"):
                return self._plan.of_other(file, self._layout)
            self._chosen = self._choose(file, profile)
            self._layout = self._plan.of_main(file, profile, divided)
            self._empty = [n for n, column in profile.columns.items() if column.kind == "empty"]
            return self._layout

        table = open_table(file, looked, plan, self._memory)
        for name in self._empty if divided else ():
            if name in self._chosen.numbers:
                logger.warning("%s, column '%s' has no value in any row; it is read as missing numbers.", path, name)
        return table.for_model() if self._was_loaded else table

    @property
    def _plan(self) -> LayoutPlan:
        """How files are read, by what is known now."""
        others = (*self._texts, *(() if self._was_loaded else self.written_columns))
        return LayoutPlan(self._rules, self._targets, self._chosen, others, self._was_loaded)

    def whole_column(self, found: Table, name: str) -> WholeColumn:
        """Return a column for all rows of a file, which is read once more for it."""
        file = self._files[found.path]
        if name not in file.columns:
            raise UserError(
                f"{found.path} has no column '{name}', so its rows cannot be compared by it."
                f"{nearest(name, file.columns)} Its columns: {some(file.columns)}."
            )
        return read_column(file, name)

    def _choose(self, file: TableFile, profile: Profile) -> InputColumns:
        """Return the input columns: those of a loaded state, or those declared and found."""
        if self._texts and self._declared.nothing:
            return InputColumns((), (), ())
        if self._inputs is not None:
            require_columns(self._inputs.columns, file.columns, file.path)
            return InputColumns(self._inputs.numbers, self._inputs.dates, self._inputs.texts)
        return choose_inputs(self._declared, self._targets, file, profile)

    def chosen_rows(
        self, inputs: InputRows, table: Table, rows: np.ndarray, fields: Mapping[str, Tensor]
    ) -> EncodedRows | StoredRows:
        """Return rows of a table with their fields: encoded where it is held in memory, else batch by batch.

        Those of a new file are read once, so that they need not be held twice.
        """
        if table.path != self._new_file and self._memory.holds(table.layout, len(table)):
            return EncodedRows(inputs.all(rows), fields)
        return StoredRows(inputs, rows, fields)

    def label_fields(self, table: Table) -> dict[str, Tensor]:
        """Return the label fields of all rows of a table; a loaded state lets a file lack them."""
        fields = {}
        for name, each in self._fitted.items():
            if all(table.has(column) for column in each.target.columns):
                fields[name] = encode_all(each, table)
            else:
                absent = ", ".join(column for column in each.target.columns if not table.has(column))
                logger.warning("%s has no column %s: every label of '%s' is missing.", table.path, absent, name)
                fields[name] = missing_target(each, len(table))
            fields |= weight_fields(each, table, table.has)
        return fields
