"""Named arrays from a .npz file or a folder of .npy files: one is the input, others are labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Sample
from mtl_cli.data_options import checked_batch_size
from mtl_cli.datasets.base import Dataset, DataSource
from mtl_cli.errors import UserError
from mtl_cli.tables.array_files import ArrayTable, read_arrays
from mtl_cli.tables.array_inputs import ArrayInputs, ArrayRows, check_finite, expected_shape, fit_array, row_shape
from mtl_cli.tables.labels import FittedTarget, Target, encode_target, fit_target, missing_target, parse_targets
from mtl_cli.tables.paths import data_path
from mtl_cli.tables.rows import EncodedRows
from mtl_cli.tables.scaling import SCALE
from mtl_cli.tables.split_rules import SPLITS, SplitRules, check_groups_apart


class Arrays(DataSource):
    """Inputs float32: vectors [B, D] from an array [N, D], images [B, C, H, W] from [N, H, W] or [N, C, H, W].

    Targets name arrays by `column`: [N], or [N, D] for a vector of numbers, several labels, or time and event. What is
    fitted on training rows travels in `state_dict`; a source that was given a state can encode rows (`encode_rows`)
    without being opened. Splits are those of `Tabular`, with arrays in the place of columns.

    Args:
        root: folder that the paths are in, which they may not leave; None is the working directory.
        path: a .npz file, or a folder of .npy files, which stay on disk, memory-mapped.
        val_path: the same for the validation rows.
        test_path: the same for the test rows.
        input: the array that is the input.
        targets: label fields, each with its kind and array(s).
        scale: standard (each feature, of images each channel) or none.
        split_column: array that says train, val or test.
        group_column: array whose groups are kept in one split.
        val_fraction: share of the rows for validation.
        test_fraction: share of the rows for test.
        split_seed: seed of the division.
        stratify: array or target whose values the splits have in equal shares; auto is the first with classes.
        folds: number of folds; the fold `fold` is the test split.
        fold: which of them, from 0.
        balance: class field whose classes are drawn equally often in training.
        memory_mb: a larger input is scaled batch by batch rather than held as float32.
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
        input: str,
        targets: Mapping[str, Any],
        scale: str,
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
        batch_size: int,
    ) -> None:
        self.batch_size, self.balance = checked_batch_size(batch_size), balance
        self._root, self._paths = root, {"path": path, "val_path": val_path, "test_path": test_path}
        self._input, self._declared, self._memory_mb = input, targets, memory_mb
        if scale not in SCALE:
            raise UserError(f"scale is '{scale}'; it is one of {', '.join(SCALE)}. Use scale=standard.")
        self._scale = scale
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
        self._inputs: ArrayInputs | None = None
        self._fitted: dict[str, FittedTarget] = {}
        self._splits: dict[str, Dataset] = {}

    def open(self) -> None:
        """Read the arrays, divide the rows, and fit on the training rows unless a state was loaded.

        Raises:
            UserError: a file cannot be used; file, row and array are named.
        """
        table = read_arrays(data_path(str(self._paths["path"]), self._root, "path"))
        if len(table) < 2:
            raise UserError(f"{table.path} has {len(table)} row{'s' * (len(table) != 1)}; training needs 2 or more.")
        targets = self._targets(table)
        table.require(self._rules.columns(targets))
        split = self._rules.assign(table, targets)
        parts = {name: (table, np.flatnonzero(split == number)) for name, number in SPLITS.items()}
        for name in ("val", "test"):
            if path := self._paths[f"{name}_path"]:
                other = read_arrays(data_path(path, self._root, f"{name}_path"))
                if self._inputs is None:
                    other.require([column for target in targets.values() for column in target.columns])
                parts[name] = (other, np.arange(len(other)))
        if self._rules.group:
            tables = list({id(each): each for each, _ in parts.values() if each.has(self._rules.group)}.values())
            check_groups_apart(tables, self._rules.group)
        if self._inputs is None:
            self._fit(targets, *parts["train"])
        self._splits = {name: self._rows(*part) for name, part in parts.items()}

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]

    def example(self) -> Sample:
        """Return two rows of zeros, the mean: all that an array's shapes depend on."""
        return Sample(torch.zeros(2, *self._told().shape), {})

    def state_dict(self) -> dict[str, Any]:
        """Return the shape and statistics of the input, and the targets."""
        return {"inputs": self._told().state(), "targets": {name: each.state() for name, each in self._fitted.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over statistics and targets; nothing is fitted then."""
        self._take(ArrayInputs.of(state["inputs"]), {k: FittedTarget.of(each) for k, each in state["targets"].items()})

    def encode_rows(self, rows: np.ndarray, path: Path) -> Tensor:
        """Return the model's inputs of rows [B, ...] of the input array of any file, by what was fitted or loaded.

        Raises:
            UserError: the rows are of another shape than those of training.
        """
        expected_shape(self._told(), row_shape(rows, ArrayTable(path, {}).place(self._input)), path)
        return self._told()(rows)

    def _told(self) -> ArrayInputs:
        assert self._inputs is not None, "the source is opened, or was given a state"
        return self._inputs

    def _take(self, inputs: ArrayInputs, fitted: dict[str, FittedTarget]) -> None:
        self._inputs, self._fitted = inputs, fitted
        self.input_spec = inputs.spec
        self.field_specs = {name: each.field_spec for name, each in fitted.items()}

    def _targets(self, table: ArrayTable) -> dict[str, Target]:
        """Return the targets, with the columns of arrays [N, D] in the place of the array."""
        if self._inputs is not None:
            return {name: each.target for name, each in self._fitted.items()}
        nodes = {}
        for name, node in self._declared.items():
            column = node.get("column") if isinstance(node, Mapping) else None
            if column == self._input:
                raise UserError(
                    f"'{column}' is the input and the target '{name}': the answer would leak into the question. "
                    "Give another array as input or column."
                )
            spread = table.columns_of(column) if isinstance(column, str) else []
            changed = {key: value for key, value in node.items() if key != "column"} if len(spread) > 1 else node
            nodes[name] = {**changed, "columns": spread} if len(spread) > 1 else node
        targets = parse_targets(nodes)
        table.require([column for target in targets.values() for column in target.columns])
        return targets

    def _fit(self, targets: Mapping[str, Target], table: ArrayTable, rows: np.ndarray) -> None:
        array = table.array(self._input)
        shape = row_shape(array, table.place(self._input))
        check_finite(array, table.place(self._input))
        fitted = {name: fit_target(target, table, rows) for name, target in targets.items()}
        self._take(fit_array(array, shape, rows, self._scale), fitted)

    def _rows(self, table: ArrayTable, rows: np.ndarray) -> Dataset:
        inputs, array = self._told(), table.array(self._input)
        expected_shape(inputs, row_shape(array, table.place(self._input)), table.path)
        check_finite(array, table.place(self._input))
        at, fields = torch.from_numpy(rows), {}
        for name, each in self._fitted.items():
            present = all(table.has(column) for column in each.target.columns)
            labels = encode_target(each, table) if present else missing_target(each, len(table))
            fields[name] = labels.index_select(0, at)
        if 4 * len(rows) * int(np.prod(inputs.shape)) <= self._memory_mb * 2**20:
            return EncodedRows(inputs(array[rows]), fields)
        return ArrayRows(array, inputs, rows, fields)
