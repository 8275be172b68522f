"""Sparse rows in the format of SVMlight."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, InputSpec, Sample
from mtl_cli.datasets.base import SPLITS, Dataset, DataSource, checked_batch_size
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError


class SVMLight(DataSource):
    """Vectors [B, D] and one class field, `label`, from the files train.svm, val.svm and test.svm of a folder.

    A line is `label index:value …`: a class from 0 and features from 1; those that are left out are 0.
    """

    def __init__(self, path: str, num_features: int, num_classes: int, batch_size: int) -> None:
        self.path, self.num_features = Path(path), num_features
        self.batch_size = checked_batch_size(batch_size)
        self.input_spec = InputSpec("vector", (num_features,))
        self.field_specs = {"label": FieldSpec("class", num_classes)}
        self._splits: dict[str, SparseRows] = {}

    def open(self) -> None:
        """Read the three files."""
        self._splits = {name: SparseRows(*read(self.path / f"{name}.svm", self.num_features)) for name in SPLITS}

    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""
        return self._splits[name]

    def reads(self, path: Path) -> bool:
        """Return True for .svm files."""
        return path.suffix == ".svm"

    def reading(self, path: Path) -> Reading:
        """Return the rows of a file; its labels are not looked at."""
        return SparseReading(path, read(path, self.num_features)[0])


class SparseRows:
    """One split, in memory."""

    def __init__(self, inputs: Tensor, label: Tensor) -> None:
        self.inputs, self.label = inputs, label

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.inputs)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        return Sample(self.inputs[indices], {"label": self.label[indices]})

    def labels(self, field: str) -> Tensor:
        """Return all labels [N]."""
        return self.label


class SparseReading(Reading):
    """Rows of a file, called by their numbers."""

    def __init__(self, path: Path, inputs: Tensor) -> None:
        super().__init__(path)
        self.inputs = inputs

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the rows, at most `size` at a time."""
        for start in range(0, max(1, len(self.inputs)), size):
            rows = self.inputs[start : start + size]
            yield NewRows(rows, [str(start + row) for row in range(len(rows))])


def read(path: Path, num_features: int) -> tuple[Tensor, Tensor]:
    """Return the vectors [N, D] and the classes [N] of a file.

    Raises:
        UserError: there is no such file, or a line does not fit.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Give dataset.path=FOLDER.") from error
    inputs, labels = np.zeros((len(lines), num_features), np.float32), []
    for row, line in enumerate(lines):
        try:
            label, *pairs = line.split()
            labels.append(int(label))
            for index, value in (pair.split(":") for pair in pairs):
                if not 1 <= int(index) <= num_features:
                    raise ValueError(index)
                inputs[row, int(index) - 1] = float(value)
        except ValueError as error:
            raise UserError(f"{path}, line {row + 1}: '{line}' is not `label index:value …`.") from error
    return torch.from_numpy(inputs), torch.tensor(labels, dtype=torch.int64)
