"""A table from a CSV, TSV or Parquet file: inputs are numbers and categories, with any number of label fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtl_cli.batch import InputPlace, Sample
from mtl_cli.config.options import option
from mtl_cli.datasets.file_base import BalancedFileOptions, Maker, fitted, taken
from mtl_cli.datasets.table_file_base import TableFileSource
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.inputs import ColumnOptions, InputRows, TableInputs
from mtl_cli.tables.labels import parse_targets
from mtl_cli.tables.opening import Memory
from mtl_cli.tables.reading import ReadOptions
from mtl_cli.tables.store import Table
from mtl_cli.tables.stratified_rules import StratifiedRules


@dataclass(frozen=True, kw_only=True)
class TabularColumns(ColumnOptions):
    """Which columns are inputs, and how they become numbers."""

    min_count: int = option(1, low=1)
    """Training rows that a category needs; a rarer one is unknown."""


class Tabular(TableFileSource):
    """Inputs: a mapping of `numeric` float32 [B, N] and `categorical` int64 [B, M]; one label field per target.

    mtl_cli/datasets/README.md describes how columns become inputs, labels and splits, and what happens to bad input.
    Files are read when the source is opened. What is fitted on training rows travels in `state_dict`. A source that was
    given a state can encode rows of any file (`reader`, `encode_rows`) without being opened.

    Args:
        targets: label fields, each with its kind and column(s).
        files: the file.
        splits: how its rows are divided.
        reading: how files are read.
        columns: which columns are inputs, and how they become numbers.
        memory: how large a table may be before it stays on disk.
    """

    def __init__(
        self,
        targets: Mapping[str, Any],
        *,
        files: BalancedFileOptions,
        splits: StratifiedRules,
        reading: ReadOptions,
        columns: TabularColumns,
        memory: Memory,
    ) -> None:
        super().__init__(
            files=files, splits=splits, reading=reading, columns=columns, memory=memory, targets=parse_targets(targets)
        )
        self._columns = columns

    def example(self) -> Sample:
        """Return two rows of average numbers and unknown categories; shapes depend on nothing else."""
        return Sample(fitted(self._inputs).example(), {})

    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs, `numeric` and `categorical`, of rows as `reader(path).batches()` yields them.

        They are made by what was fitted or loaded. A category that training never saw is 0, unknown. Columns that are
        not inputs, such as labels, are not read and may be absent. `path` and `first_row` (from 0) are for messages.

        Raises:
            UserError: an input column is missing, or a cell that must be a number is not one.
        """
        return fitted(self._inputs).of_batch(rows, self._reading.notation, path, first_row)

    def named_inputs(self) -> dict[str, list[InputPlace]]:
        """Return where each column lies in the inputs."""
        return fitted(self._inputs).places

    def input_state(self) -> dict[str, Any]:
        """Return the input columns with their scaler and vocabularies."""
        return {"inputs": fitted(self._inputs).state()}

    def load_inputs(self, state: Mapping[str, Any]) -> None:
        """Take over the input columns."""
        self._take(TableInputs.of(state["inputs"]))

    def fit(self, found: Table, rows: np.ndarray) -> None:
        """Fit the input columns and the targets."""
        self._take(self._columns.fitted(self._chosen, found, rows, self._columns.min_count))
        self.fit_targets(found, rows)

    def _take(self, inputs: TableInputs) -> None:
        self._inputs, self.input_spec = inputs, inputs.spec

    def encode(self, found: Table) -> Maker:
        """Return what makes a dataset of some rows of a table."""
        inputs, labels = InputRows(fitted(self._inputs), found), self.label_fields(found)
        return lambda rows: self.chosen_rows(inputs, found, rows, taken(labels, rows))
