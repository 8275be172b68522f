"""scikit-learn's bundled sets as a dataset of this program, divided into folds."""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor

from mtl_cli.batch import FieldSpec, InputSpec, Sample
from mtl_cli.datasets.base import DataSource

LOADERS = {"diabetes": datasets.load_diabetes, "wine": datasets.load_wine, "breast_cancer": datasets.load_breast_cancer}


def table(name: str) -> tuple[np.ndarray, np.ndarray]:
    return LOADERS[name](return_X_y=True)


def folds(name: str) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Return training and test rows of 5 folds, stratified by class."""
    x, y = table(name)
    kind = KFold if name == "diabetes" else StratifiedKFold
    return list(kind(5, shuffle=True, random_state=0).split(x, y))


class Rows:
    """One split, in memory."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs, self.field = inputs, labels

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitems__(self, indices: Tensor) -> Sample:
        return Sample(self.inputs[indices], {"label": self.field[indices]})

    def labels(self, field: str) -> Tensor:
        return self.field


class Bundled(DataSource):
    """One fold: every fifth training row is the validation split; inputs are scaled by the training rows."""

    def __init__(self, name: str, fold: int, batch_size: int) -> None:
        self.batch_size = batch_size
        x, y = table(name)
        rest, test = folds(name)[fold]
        rest = np.random.default_rng(fold).permutation(rest)
        rows = {"train": rest[len(rest) // 5 :], "val": rest[: len(rest) // 5], "test": test}
        mean, std = x[rows["train"]].mean(axis=0), x[rows["train"]].std(axis=0)
        inputs = torch.tensor((x - mean) / std, dtype=torch.float32)
        labels = torch.tensor(y, dtype=torch.float32 if name == "diabetes" else torch.int64)
        self._splits = {split: Rows(inputs[index], labels[index]) for split, index in rows.items()}
        self.input_spec = InputSpec("vector", (x.shape[1],))
        train = y[rows["train"]]
        real = FieldSpec("real", mean=(float(train.mean()),), std=(float(train.std()),))
        self.field_specs = {"label": real if name == "diabetes" else FieldSpec("class", len(np.unique(y)))}

    def split(self, name: str) -> Rows:
        return self._splits[name]
