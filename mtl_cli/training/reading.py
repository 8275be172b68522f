"""Reading rows: fetched, augmented, their labels counted; the same in the training process and in one that reads ahead.

1. `Split.__getitems__` fetches the rows of a draw.
2. The augmentation, where there is one, changes each row under a seed of its own (`augmented`).
3. The labels of each task are counted per row, on the host. Where they are at hand or on a device, and nothing changes
   them, they have been counted once before (`label_counts`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, Sample, Split, change_values, labelled, pad_sets, sets_of
from mtl_cli.datasets.base import Augmentation
from mtl_cli.seeding import seeded

Marks = Callable[[Tensor], Tensor]
"""From a target [B, ...] to where it has labels, one mark per label."""


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
    """

    rows: Split
    name: str
    seed: int
    targets: Mapping[str, str]
    marks: Mapping[str, Marks]
    augmentation: Augmentation | None
    specs: Mapping[str, FieldSpec]
    known: Mapping[str, Tensor | int]

    def draw(self, number: int, indices: Tensor) -> Sample:
        """Return the rows of draw `number`, augmented."""
        sample = self.rows.__getitems__(indices)
        if self.augmentation is not None:
            seeds = [(self.seed, "augment", self.name, number, place) for place in range(len(indices))]
            sample = augmented(sample, self.augmentation, self.specs, seeds)
        return self._counted(sample, indices)

    def as_they_are(self, indices: Tensor) -> Sample:
        """Return rows for an evaluation, not augmented."""
        return self._counted(self.rows.__getitems__(indices), indices)

    def with_added(self, indices: Tensor) -> Sample:
        """Return rows for an evaluation of the fields that the augmentation adds, the same ones every time."""
        assert self.augmentation is not None
        sample = self.rows.__getitems__(indices)
        changed = augmented_alike(sample, indices, self.augmentation, self.specs, self.seed, self.name)
        return self._counted(changed, indices)

    def _counted(self, sample: Sample, indices: Tensor) -> Sample:
        counts = {}
        for task, field in self.targets.items():
            known = self.known.get(task)
            if isinstance(known, Tensor):
                counts[task] = known[indices]
            elif known is None and field in sample.fields:
                counts[task] = per_row(self.marks.get(task, labelled)(sample.fields[field]))
        return replace(sample, counts=counts) if counts else sample


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
    sample: Sample,
    augmentation: Augmentation,
    specs: Mapping[str, FieldSpec],
    seeds: Sequence[tuple[int | str, ...]],
) -> Sample:
    """Return the rows of a sample, each changed under its own seed."""
    rows = []
    for place, seed in enumerate(seeds):
        with seeded(*seed):
            rows.append(augmentation(one_row(sample, place, specs)))
    return stacked(rows, specs)


def augmented_alike(
    sample: Sample,
    indices: Tensor,
    augmentation: Augmentation,
    specs: Mapping[str, FieldSpec],
    seed: int,
    name: str,
) -> Sample:
    """Return the rows at `indices` [B] of a dataset, changed in the same way in every sweep."""
    return augmented(sample, augmentation, specs, [(seed, "augment", name, "sweep", row) for row in indices.tolist()])


def one_row(sample: Sample, place: int, specs: Mapping[str, FieldSpec]) -> Sample:
    """Return one row without a batch dimension; a `varying` field without its padding, left out where not labelled."""
    row = change_values(lambda value: value[place], sample.inputs)
    fields: dict[str, Tensor] = {}
    for name, field in sample.fields.items():
        (own,) = sets_of(field[place : place + 1]) if specs[name].varying else [field[place]]
        if own is not None:
            fields[name] = own
    return Sample(row, fields)


def stacked(rows: Sequence[Sample], specs: Mapping[str, FieldSpec]) -> Sample:
    """Return rows that `one_row` took apart as a batch again."""
    first = rows[0].inputs
    if isinstance(first, Tensor):
        inputs: Tensor | dict[str, Tensor] = torch.stack([row.inputs for row in rows if isinstance(row.inputs, Tensor)])
    else:
        inputs = {
            name: torch.stack([row.inputs[name] for row in rows if not isinstance(row.inputs, Tensor)])
            for name in first
        }
    fields = {}
    for name in dict.fromkeys(name for row in rows for name in row.fields):
        own = [row.fields.get(name) for row in rows]
        present = [field for field in own if field is not None]
        spec = specs[name]
        fields[name] = pad_sets(own, spec.shape, present[0].dtype) if spec.varying else torch.stack(present)
    return Sample(inputs, fields)
