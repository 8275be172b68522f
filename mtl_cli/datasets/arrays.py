"""Named arrays from a .npz file or a folder of .npy files: one is the input, others are labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputPlace, Sample, WantedField
from mtl_cli.config.options import Options, option
from mtl_cli.datasets.base import Dataset
from mtl_cli.datasets.file_base import BalancedFileOptions, FileSource, Maker, fitted, taken
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError
from mtl_cli.tables.array_files import ArrayTable, read_arrays
from mtl_cli.tables.array_inputs import ArrayInputs, ArrayRows, check_finite, expected_shape, fit_array, row_shape
from mtl_cli.tables.given import GIVEN, Given, stacked_arrays
from mtl_cli.tables.labels import (
    Target,
    encode_target,
    fit_target,
    missing_target,
    parse_targets,
    undeclared,
    weight_fields,
)
from mtl_cli.tables.place import Place
from mtl_cli.tables.rows import EncodedRows
from mtl_cli.tables.scaling import SCALE
from mtl_cli.tables.stratified_rules import StratifiedRules


@dataclass(frozen=True, kw_only=True)
class InputArray(Options):
    """The array that is the input, and how it is scaled and held."""

    input: str
    """Name of the array."""
    scale: str = option(example="standard", choices=SCALE)
    """How inputs are scaled: standard (each feature; for images each channel) or none."""
    memory_mb: float
    """Megabytes; a larger input is scaled batch by batch rather than held as float32."""


class ArrayReading(Reading):
    """Rows of an array, named by their numbers.

    Args:
        array: the rows [N, ...].
        path: where they come from.
        encode: makes the model's inputs of rows.
        max_rows: rows that go through the model at once.
    """

    def __init__(
        self, array: np.ndarray, path: Path, encode: Callable[[np.ndarray, Path], Tensor], max_rows: int | None
    ) -> None:
        super().__init__(path)
        self.array, self._encode, self.max_rows = array, encode, max_rows

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the rows, at most `size` at a time."""
        for start in range(0, max(1, len(self.array)), size):
            rows = np.asarray(self.array[start : start + size])
            yield NewRows(self._encode(rows, self.path), [str(start + k) for k in range(len(rows))])

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.array)


class Arrays(FileSource[ArrayTable]):
    """Inputs float32: vectors [B, D] from an array [N, D], images [B, C, H, W] from [N, H, W] or [N, C, H, W].

    Targets name arrays by `column`: [N], or [N, D] for a vector of numbers, several labels, or time and event. What is
    fitted on training rows travels in `state_dict`. A source that was given a state can encode rows (`encode_rows`)
    without being opened. Rows are divided as in `Tabular`, with arrays in place of columns.

    Args:
        targets: label fields, each with its kind and array(s).
        files: a .npz file, or a folder of .npy files, which stay on disk, memory-mapped.
        splits: how its rows are divided.
        array: which array is the input.
    """

    def __init__(
        self,
        targets: Mapping[str, Any],
        *,
        files: BalancedFileOptions,
        splits: StratifiedRules,
        array: InputArray,
    ) -> None:
        super().__init__(files=files, splits=splits, targets={})
        self._input, self._scale, self._memory_mb = array.input, array.scale, array.memory_mb
        self._declared = targets
        self._wanted_by: dict[str, str] = {}
        self._inputs: ArrayInputs | None = None

    def want(self, fields: Sequence[WantedField]) -> None:
        """Read the fields that `targets` does not declare as the tasks say."""
        wanted = undeclared(fields, self._declared)
        self._wanted_by = {name: each.task for name, each in wanted.items()}
        self._declared = {**self._declared, **{name: each.node for name, each in wanted.items()}}

    def example(self) -> Sample:
        """Return two rows of zeros, which is the mean; shapes depend on nothing else."""
        return Sample(torch.zeros(2, *fitted(self._inputs).shape), {})

    def reads(self, path: Path) -> bool:
        """Return True for .npz and .npy files and for folders."""
        return path.suffix.lower() in (".npz", ".npy") or path.is_dir()

    def reading(self, path: Path) -> Reading:
        """Return the rows of the input array in a .npz file, a folder of .npy files, or of a .npy file of its own."""
        table = read_arrays(path, self._input)
        array, batch_size = table.array(self._input), self.batch_size
        check_finite(array, table.place(self._input))
        return ArrayReading(array, path, self.encode_rows, batch_size if array.ndim > 2 else None)

    def reading_of(self, inputs: Given) -> Reading | None:
        """Return the rows of an array."""
        if inputs.arrays is None:
            return None
        array = stacked_arrays(inputs.arrays)
        check_finite(array, Place(GIVEN, self._input))
        return ArrayReading(array, GIVEN, self.encode_rows, self.batch_size if array.ndim > 2 else None)

    def preprocessing(self) -> dict[str, Any]:
        """Return shape, mean and deviation of the input array."""
        inputs = fitted(self._inputs)
        mean, std = inputs.mean.tolist(), inputs.std.tolist()
        return {"kind": "array", "shape": list(inputs.shape), "mean": mean, "std": std}

    def given_rows(self, split: str, most: int) -> Given:
        """Return the rows of the input array of a split."""
        found, rows = self.divide()[split]
        return Given(arrays=np.asarray(found.array(self._input)[rows[:most]]))

    def encode_rows(self, rows: np.ndarray, path: Path) -> Tensor:
        """Return the model's inputs of rows [B, ...] of the input array of any file, by what was fitted or loaded.

        Raises:
            UserError: the rows are of another shape than those of training.
        """
        expected_shape(fitted(self._inputs), row_shape(rows, ArrayTable(path, {}).place(self._input)), path)
        return fitted(self._inputs)(rows)

    def files_at(self, path: Path) -> list[Path]:
        """Return the files that are read from a path: the .npz file, or the .npy files of a folder."""
        return sorted(path.glob("*.npy")) if path.is_dir() else [path]

    def named_inputs(self) -> dict[str, list[InputPlace]]:
        """Return where each number of a vector lies, as "<array>.<index>"; pixels have no names."""
        shape = self.input_spec.shape
        return {f"{self._input}.{k}": [InputPlace("", k)] for k in range(shape[0])} if len(shape) == 1 else {}

    def input_state(self) -> dict[str, Any]:
        """Return shape, mean and deviation of the input array."""
        return {"inputs": fitted(self._inputs).state()}

    def load_inputs(self, state: Mapping[str, Any]) -> None:
        """Take over shape, mean and deviation."""
        self._take(ArrayInputs.of(state["inputs"]))

    def _take(self, inputs: ArrayInputs) -> None:
        self._inputs, self.input_spec = inputs, inputs.spec

    def read_rows(self, key: str) -> ArrayTable:
        """Return the arrays of a file, once those that are needed are known to be there."""
        table = read_arrays(self.path_of(key))
        if key == "path":
            self._targets = self._targets_of(table)
            table.require([*self._rules.columns(self.present_targets(table)), *self._rules.times])
        elif not self._was_loaded:
            table.require([column for target in self._targets.values() for column in target.columns])
        return table

    def _targets_of(self, table: ArrayTable) -> dict[str, Target]:
        """Return the targets, with where an array [N, D] is replaced by its columns."""
        if self._was_loaded:
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
        targets = parse_targets(nodes, self._wanted_by)
        table.require([column for target in targets.values() for column in target.columns])
        return targets

    def fit(self, found: ArrayTable, rows: np.ndarray) -> None:
        """Fit the scaling of the input array, and the targets."""
        array, shape = self._checked(found)
        self.keep_targets({name: fit_target(target, found, rows) for name, target in self._targets.items()})
        self._take(fit_array(array, shape, rows, self._scale))

    def _checked(self, table: ArrayTable) -> tuple[np.ndarray, tuple[int, ...]]:
        """Return the input array of a file and the shape of a row of it."""
        array, place = table.array(self._input), table.place(self._input)
        shape = row_shape(array, place)
        check_finite(array, place)
        return array, shape

    def encode(self, found: ArrayTable) -> Maker:
        """Return what makes a dataset of some rows: scaled at once where they fit into memory, else batch by batch."""
        inputs = fitted(self._inputs)
        array, shape = self._checked(found)
        expected_shape(inputs, shape, found.path)
        labels = {}
        for name, each in self._fitted.items():
            present = all(found.has(column) for column in each.target.columns)
            labels[name] = encode_target(each, found) if present else missing_target(each, len(found))
            labels |= weight_fields(each, found, found.has)
        width = 4 * int(np.prod(inputs.shape))

        def make(rows: np.ndarray) -> Dataset:
            fields = taken(labels, rows)
            if len(rows) * width <= self._memory_mb * 2**20:
                return EncodedRows(inputs(array[rows]), fields)
            return ArrayRows(array, inputs, rows, fields, found.watched(self._input))

        return make
