"""Reading rows: fetched, augmented, their labels counted; the same in the training process and in one that reads ahead.

1. `Split.__getitems__` fetches the rows of a draw.
2. The augmentation, where there is one, changes each row under a seed of its own (`augmented`).
3. The labels of each task are counted per row, on the host. Where they are at hand or on a device, and nothing changes
   them, they have been counted once before (`label_counts`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, Sample, Split, labelled, stacked
from mtl_cli.batch.recycled import Empty, fresh
from mtl_cli.datasets.base import Augmentation
from mtl_cli.seeding import seeded

Marks = Callable[[Tensor], Tensor]
"""From a target [B, ...] to where it has labels, one mark per label."""


@dataclass(frozen=True)
class Block:
    """All targets [N, T, ...] of tasks that are computed as one; `marks`, on the host: where labels are, None: all."""

    labels: Tensor
    marks: Tensor | None

    def to(self, device: torch.device) -> "Block":
        """Return the same with the labels on a device."""
        return Block(self.labels.to(device), self.marks)


@dataclass(frozen=True)
class Reader:
    """Reads the rows of one split for the tasks on it.

    Args:
        rows: the split.
        name: the dataset's name.
        seed: the run's seed.
        targets: label field by task.
        marks: where a target has labels, by task; `labelled` says so for a task that is not named.
        augmentation: what rows are changed by in `draw`.
        specs: the fields of a row, those that the augmentation adds included; needed with one.
        known: labels of each row [N] by task, or one number where all rows have the same; tasks that are absent are
            counted with every batch.
        blocks: targets of tasks that are computed as one, by the stack's name, where they are at hand.
    """

    rows: Split
    name: str
    seed: int
    targets: Mapping[str, str]
    marks: Mapping[str, Marks]
    augmentation: Augmentation | None
    specs: Mapping[str, FieldSpec]
    known: Mapping[str, Tensor | int]
    blocks: Mapping[str, Block] = field(default_factory=dict)

    def draw(self, number: int, indices: Tensor) -> Sample:
        """Return the rows of draw `number`, augmented."""
        if self.augmentation is None:
            return self._counted(self.rows.__getitems__(indices), indices)
        seeds = [(self.seed, "augment", self.name, number, place) for place in range(len(indices))]
        rows = self.rows.apart(indices, self.specs)
        return self._counted(augmented(rows, self.augmentation, self.specs, seeds), indices)

    def ahead(self, number: int, indices: Tensor, empty: Empty = fresh) -> Sample:
        """Return the rows of draw `number` for another process, which still has to finish inputs (`Split.raw`)."""
        if self.augmentation is not None:
            return self.draw(number, indices)
        return self._counted(self.rows.raw(indices, empty), indices)

    def as_they_are(self, indices: Tensor) -> Sample:
        """Return rows for an evaluation, not augmented."""
        return self._counted(self.rows.__getitems__(indices), indices)

    def with_added(self, indices: Tensor) -> Sample:
        """Return rows for an evaluation of the fields that the augmentation adds, the same ones every time."""
        assert self.augmentation is not None
        rows = self.rows.apart(indices, self.specs)
        changed = augmented_alike(rows, indices, self.augmentation, self.specs, self.seed, self.name)
        return self._counted(changed, indices)

    def _counted(self, sample: Sample, indices: Tensor) -> Sample:
        counts = {}
        for task, name in self.targets.items():
            known = self.known.get(task)
            if isinstance(known, Tensor):
                counts[task] = known[indices]
            elif known is None and name in sample.fields:
                counts[task] = per_row(self.marks.get(task, labelled)(sample.fields[name]))
        fields = dict(sample.fields)
        for name, block in self.blocks.items():
            fields[name] = block.labels.index_select(0, indices.to(block.labels.device))
            if block.marks is not None:
                counts[name] = block.marks.index_select(0, indices)
        return Sample(sample.inputs, fields, counts)


def per_row(marks: Tensor) -> Tensor:
    """Return the number of labels of each row, int32 [N], from marks [N, ...]."""
    return marks.int() if marks.ndim == 1 else marks.flatten(1).sum(dim=1, dtype=torch.int32)


def label_counts(rows: Split, field: str, marks: Marks = labelled) -> Tensor | int:
    """Return the number of labels of each row of a split, int32 [N], or one number where all rows have the same."""
    parts = [per_row(marks(labels[field])) for labels in rows.sweep_fields([field])]
    counts = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int32)
    same = len(counts) > 0 and bool((counts == counts[0]).all())
    return int(counts[0]) if same else counts


def augmented(
    rows: Sequence[Sample],
    augmentation: Augmentation,
    specs: Mapping[str, FieldSpec],
    seeds: Sequence[tuple[int | str, ...]],
) -> Sample:
    """Return rows as a batch, each changed under its own seed."""
    changed = []
    for row, seed in zip(rows, seeds, strict=True):
        with seeded(*seed):
            changed.append(augmentation(row))
    return stacked(changed, specs)


def augmented_alike(
    rows: Sequence[Sample],
    indices: Tensor,
    augmentation: Augmentation,
    specs: Mapping[str, FieldSpec],
    seed: int,
    name: str,
) -> Sample:
    """Return the rows at `indices` [B] of a dataset, changed in the same way in every sweep."""
    return augmented(rows, augmentation, specs, [(seed, "augment", name, "sweep", row) for row in indices.tolist()])
