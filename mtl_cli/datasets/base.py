"""What a dataset is: a source with three splits, each fetched by whole batches."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, InputSpec, Sample

SPLITS = ("train", "val", "test")


class Dataset(Protocol):
    """One split: rows that are fetched by whole batches, without any code per sample."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        ...

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N, ...], on the host."""
        ...


class DataSource(ABC):
    """A dataset, built with the arguments of its YAML.

    What it reads from disk it reads once, when it is built; bad files end in a `UserError`.
    """

    input_spec: InputSpec
    field_specs: Mapping[str, FieldSpec]
    batch_size: int
    balance: str | None = None
    """Class field whose classes are drawn equally often in training; None draws every row once a pass."""

    @abstractmethod
    def split(self, name: str) -> Dataset:
        """Return the rows of "train", "val" or "test"."""

    def example(self) -> Sample:
        """Return two real training samples, for the dry run that finds the shapes of features."""
        train = self.split("train")
        return train.__getitems__(torch.arange(min(2, len(train))))

    def state_dict(self) -> dict[str, Any]:
        """Return what was fitted on the training split and must travel with a checkpoint: tensors and plain data."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what an earlier run fitted."""
        assert not state, f"{type(self).__name__} keeps no state"
