"""One split of a dataset: rows that are fetched by whole batches."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtl_cli.batch.padding import one_row
from mtl_cli.batch.recycled import Empty, fresh
from mtl_cli.batch.samples import Sample, Values
from mtl_cli.batch.specs import FieldSpec


class Split(ABC):
    """One split of a dataset: N rows that are fetched by whole batches, without any code per sample.

    A split of a user's own need not be a subclass: `__len__` and `__getitems__` are enough (`mtl_cli.datasets.base`).
    """

    labels_at_hand: ClassVar[bool] = False
    """Whether labels are in memory, so that those of every split are looked at before training."""
    fixed_size: ClassVar[bool] = False
    """Whether no row is padded to others that are fetched with it, so that the rows of several batches can be."""
    lengths: Tensor | None = None
    """Length of each row, int64 [N], where rows have one: rows of like lengths are batched."""
    alike: Tensor | None = None
    """A number per row, int64 [N], the same for rows of one size: an evaluation puts no others into one batch."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @abstractmethod
    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""

    def raw(self, indices: Tensor, empty: Empty = fresh) -> Sample:
        """Return the rows at `indices` [B] as processes that read ahead hand them over: inputs may be smaller types.

        `finished` makes of these inputs those of `__getitems__`, on the device where they are needed. What is large is
        best written to memory that `empty` gives, which spares a copy.
        """
        return self.__getitems__(indices)

    def finished(self, inputs: Values) -> Values:
        """Return inputs of `raw` as `__getitems__` has them; those that are so already stay as they are."""
        return inputs

    def apart(self, indices: Tensor, specs: Mapping[str, FieldSpec]) -> list[Sample]:
        """Return the rows at `indices` [B] one by one, without a batch dimension, for an augmentation to change.

        A source whose rows differ in size overrides it, and may return pixels that the augmentation is to scale.
        """
        sample = self.__getitems__(indices)
        return [one_row(sample, place, specs) for place in range(len(indices))]

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Return label fields of the rows at `indices` [B]; override it where it would read inputs needlessly."""
        return self.__getitems__(indices).fields

    def named(self, row: int) -> str:
        """Return what a row is called in messages, such as the name of its file."""
        return f"row {row + 1}"

    def classes(self, field: str) -> Tensor:
        """Return the class of each row [N] on the host, −100 where there is none: what balanced sampling needs."""
        return torch.cat([labels[field] for labels in self.sweep_fields([field])])

    def sweep_fields(self, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Yield label fields of all rows in order, on the host, as many rows at a time as fit into `CHUNK` bytes."""
        start, size = 0, 16
        while start < len(self):
            rows = torch.arange(start, min(start + size, len(self)))
            found = self.fields_of(rows, names)
            yield {name: found[name].cpu() for name in names}
            start += size
            used = max((found[name].nbytes for name in names), default=0)
            size = max(1, min(MAX_CHUNK_ROWS, CHUNK * len(rows) // max(1, used)))

    def to(self, device: torch.device) -> "Split":
        """Return the split with its tensors on `device`; a split that does not hold tensors is returned as it is."""
        return self

    def without(self, fields: Collection[str]) -> "Split":
        """Return the split for a reader that has some label fields already: `__getitems__` may leave them out."""
        return self


CHUNK, MAX_CHUNK_ROWS = 2**24, 2**16


class LabelledSplit(Split):
    """A split whose labels are in memory."""

    labels_at_hand: ClassVar[bool] = True

    @abstractmethod
    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N, ...], on the host."""

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Return label fields of the rows at `indices` [B]."""
        return {name: self.labels(name).index_select(0, indices) for name in names}

    def classes(self, field: str) -> Tensor:
        """Return the class of each row [N] on the host, −100 where there is none."""
        return self.labels(field)
