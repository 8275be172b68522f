"""A table from a CSV, TSV or Parquet file: numbers and categories in, any number of label fields out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtl_cli.batch import Sample
from mtl_cli.datasets.file_base import Maker, taken
from mtl_cli.datasets.table_base import TableFileSource
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.columns import Declared
from mtl_cli.tables.inputs import Fitting, InputRows, TableInputs
from mtl_cli.tables.labels import parse_targets
from mtl_cli.tables.opening import Memory
from mtl_cli.tables.reading import ReadOptions
from mtl_cli.tables.split_rules import SplitRules
from mtl_cli.tables.store import Table


class Tabular(TableFileSource):
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
        super().__init__(
            root,
            path,
            rules,
            parse_targets(targets),
            balance,
            batch_size,
            read=ReadOptions(format, delimiter, encoding, tuple(map(str, missing_values)), names),
            memory=Memory(memory_mb, cache_dir),
            declared=Declared.of(numeric, categorical, drop, (split_column, group_column)),
        )
        self._fitting = Fitting(impute, impute_value, indicators, scale, max_categories, min_count)
        self._fitting.check()

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
        return self._told().of_batch(rows, self._read_options.missing_values, path, first_row)

    def _input_state(self) -> dict[str, Any]:
        return {"inputs": self._told().state()}

    def _load_inputs(self, state: Mapping[str, Any]) -> None:
        self._take(TableInputs.of(state["inputs"]))

    def _fit(self, found: Table, rows: np.ndarray) -> None:
        self._take(self._fitting.inputs(self._chosen, found, rows))
        self._fit_targets(found, rows)

    def _told(self) -> TableInputs:
        assert self._inputs is not None, "the source is opened, or was given a state"
        return self._inputs

    def _take(self, inputs: TableInputs) -> None:
        self._inputs, self.input_spec = inputs, inputs.spec

    def _encode(self, found: Table) -> Maker:
        inputs, labels = InputRows(self._told(), found), self._labels(found)
        return lambda rows: self._rows(inputs, found, rows, taken(labels, rows))
