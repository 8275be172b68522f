"""A table from a CSV, TSV or Parquet file: numbers and categories in, any number of label fields out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtl_cli.batch import Sample
from mtl_cli.config.options import option
from mtl_cli.datasets.file_base import BalancedFileOptions, Maker, taken
from mtl_cli.datasets.table_base import TableFileSource
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.inputs import ColumnOptions, InputRows, TableInputs
from mtl_cli.tables.labels import parse_targets
from mtl_cli.tables.opening import Memory
from mtl_cli.tables.reading import ReadOptions
from mtl_cli.tables.split_rules import StratifiedRules
from mtl_cli.tables.store import Table


@dataclass(frozen=True, kw_only=True)
class TabularColumns(ColumnOptions):
    """Which columns are inputs, and how they become numbers."""

    min_count: int = option(1, low=1)
    """Training rows that a category needs; a rarer one is unknown."""


class Tabular(TableFileSource):
    """Inputs: a mapping of `numeric` float32 [B, N] and `categorical` int64 [B, M]; one label field a target.

    How columns become inputs, labels and splits, and what becomes of bad input: mtl_cli/datasets/README.md. Files are
    read when the source is opened; what is fitted on training rows travels in `state_dict`. A source that was given a
    state can encode rows of any file (`reader`, `encode_rows`) without being opened.

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
        """Return two rows of average numbers and unknown categories: all that a table's shapes depend on."""
        return Sample(self._told().example(), {})

    def encode_rows(self, rows: "pa.RecordBatch | pa.Table", path: Path, first_row: int = 0) -> dict[str, Tensor]:
        """Return the model's inputs, `numeric` and `categorical`, of rows as `reader(path).batches()` yields them.

        Uses what was fitted or loaded. A category that training never saw is 0, unknown; columns that are no input,
        labels among them, are not looked at and may be absent. `path` and `first_row` (from 0) are for messages.

        Raises:
            UserError: an input column is missing, or a cell is no number where one is needed.
        """
        return self._told().of_batch(rows, self._reading.missing, path, first_row)

    def _input_state(self) -> dict[str, Any]:
        return {"inputs": self._told().state()}

    def _load_inputs(self, state: Mapping[str, Any]) -> None:
        self._take(TableInputs.of(state["inputs"]))

    def _fit(self, found: Table, rows: np.ndarray) -> None:
        self._take(self._columns.fitted(self._chosen, found, rows, self._columns.min_count))
        self._fit_targets(found, rows)

    def _told(self) -> TableInputs:
        assert self._inputs is not None, "the source is opened, or was given a state"
        return self._inputs

    def _take(self, inputs: TableInputs) -> None:
        self._inputs, self.input_spec = inputs, inputs.spec

    def _encode(self, found: Table) -> Maker:
        inputs, labels = InputRows(self._told(), found), self._labels(found)
        return lambda rows: self._rows(inputs, found, rows, taken(labels, rows))
