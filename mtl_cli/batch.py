"""What a dataset hands to the model: specs, splits, samples and batches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

MISSING_CLASS = -100
"""An integer label that is missing; torch's own `ignore_index`. A missing float label is NaN."""
NO_ENTRY, NO_CLASS = -torch.inf, -101
"""An entry that is not there, of floats and of integers; `pad_sets` fills the smaller sets of a batch up with it."""
ROW_INPUTS = ("numeric", "categorical")
"""Inputs of a text_table that each row has once, however long its text is."""


@dataclass(frozen=True)
class InputSpec:
    """Kind and shape of one input, without the batch.

    "image": float32 (C, H, W). "vector": float32 (D,). "table": a mapping of `numeric` float32 [B, N] and `categorical`
    int64 [B, M], shape (N + M,), with the number of categories of each categorical column, the unknown one included.
    "text": a mapping of `ids` int64 [B, L] and `mask` bool [B, L], True where a piece is real, of any length L: shape
    (), with the size of the vocabulary as the one number of categories; `pretrained` is the model that it belongs to.
    "text_table": a mapping with the keys of a text and those of a table; `table` is the spec of the table. "sound": a
    mapping of `frames` float32 [B, L, D] and `mask` bool [B, L], True where a frame is real: shape (D,), of any length.
    """

    kind: str
    shape: tuple[int, ...]
    categories: tuple[int, ...] = ()
    pretrained: str | None = None
    table: "InputSpec | None" = None
    any_size: bool = False
    """Whether images are evaluated in sizes of their own, which are not that of training, `shape`."""


FAR = 1000.0
"""Standard deviations between 0 and the mean from which labels are float64: float32 has 7 digits."""


@dataclass(frozen=True)
class FieldSpec:
    """What a label field holds, by kind.

    "class" int64 [B], one of `num_classes`; "ordinal" the same, in order; "multilabel" float32 [B, num_classes];
    "real" float32 [B] or [B, D], scaled by `mean` and `std` (in the target's own unit, one per column) where they are
    given; "count" float32 [B], its rate relative to `mean`; "survival" float32 [B, 2], time and event (1) or censoring
    (0); "ranking" float32 [B, 2], relevance and the number of the group; "tokens" int64 [B, L], a class at the first
    piece of each word, −100 elsewhere; "pieces" int64 [B, L], the `varying` pieces of a text to be written, of which
    the last one is its end, and a number from `num_classes` on is a character that no piece holds.

    Any other kind is a word that a dataset and a kind of task agree on. `varying` fields hold a set of entries per row,
    such as boxes: [B, N, ...] filled up as `pad_sets` does.

    "real", "count" and "survival" are float64 where float32 would lose digits that matter (`far`), such as times in
    milliseconds since 1970.

    `counts` are the training split's labels by class, `columns` the columns that the field was read from.
    """

    kind: str
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    varying: bool = False
    weights: str = ""
    """The field that holds each row's weight in the loss, float32 [B], 1 on average over the training labels."""
    top: float = 1.0
    """Of "ranking": the highest relevance of the training labels, such as 5 stars; 1 for yes and no, and for shares."""
    longest: int = 0
    """Of "pieces": entries of the longest training label."""
    copies: bool = False
    """Of "pieces": whether the inputs are pieces of the same numbers, so that they can be copied."""

    @property
    def far(self) -> bool:
        """Whether `mean` is so far from 0, in `std`, that float32 cannot hold the labels well: 1.6e12 ± 3e4."""
        return any(abs(mean) > FAR * std > 0 for mean, std in zip(self.mean, self.std, strict=False))


@dataclass(frozen=True)
class WantedField:
    """A label field that a task needs: its kind, and what the task's node says of how it is read.

    `kind` is one of a dataset's targets, such as "binary"; None where the class of the task does not say. `reading` may
    hold `column` or `columns`, `classes`, `missing`, `ignore_case`, `unseen`, `values` and `pieces`, as a dataset's
    `targets` do; without a column the field is the column of its own name.
    """

    name: str
    task: str
    kind: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def node(self) -> dict[str, Any]:
        """The same as an entry of a dataset's `targets`."""
        has_column = "column" in self.reading or "columns" in self.reading
        return {"kind": self.kind, **({} if has_column else {"column": self.name}), **self.reading}


@dataclass(frozen=True)
class Inputs:
    """Model inputs [B, ...] of one dataset. The name lets a per-dataset stem find its own."""

    values: Tensor | Mapping[str, Tensor]
    dataset: str

    def to(self, device: torch.device) -> "Inputs":
        """Return the same inputs on `device`."""
        return Inputs(move(self.values, device), self.dataset)


Values = Tensor | Mapping[str, Tensor]
"""One tensor, or several by name."""


@dataclass(frozen=True)
class InputPlace:
    """Where a part of the inputs lies: the key of their tensor, "" where there is one, and the index in a row.

    Without an index it is the whole row of that tensor.
    """

    key: str = ""
    index: int | None = None


def change_values(change: Callable[[Tensor], Tensor], values: Values) -> Tensor | dict[str, Tensor]:
    """Return the tensor, or each tensor of the mapping, changed."""
    if isinstance(values, Tensor):
        return change(values)
    return {name: change(value) for name, value in values.items()}


class Frame(Protocol):
    """Where in the input of a network an image lies, which may have been resized and filled up."""

    @property
    def file(self) -> tuple[int, int]:
        """Height and width of the image's file."""
        ...

    def map_back(self, values: Tensor) -> Tensor:
        """Return a map [C, H, W] of the input as one of the size of the image's file."""
        ...

    def boxes_back(self, boxes: Tensor) -> Tensor:
        """Return boxes [N, 4] in pixels of the input (x₁, y₁, x₂, y₂) in pixels of the file."""
        ...


@dataclass(frozen=True)
class Sample:
    """Rows of a dataset: inputs [B, ...] and its label fields by name, each [B, ...].

    `counts` are the labels of each row [B] by task, on the host, where they were counted with the rows.
    """

    inputs: Values
    fields: Mapping[str, Tensor]
    counts: Mapping[str, Tensor] = field(default_factory=dict)

    def pin_memory(self) -> "Sample":
        """Return the same rows in page-locked memory, for quick copies to a GPU; torch's DataLoader calls this."""
        pinned = change_values(lambda value: value.pin_memory(), self.inputs)
        return Sample(pinned, {name: field.pin_memory() for name, field in self.fields.items()}, self.counts)

    def rows(self, start: int, stop: int) -> "Sample":
        """Return rows `start` … `stop`, the latter excluded."""
        part = change_values(lambda value: value[start:stop], self.inputs)
        fields = {name: value[start:stop] for name, value in self.fields.items()}
        return Sample(part, fields, {name: count[start:stop] for name, count in self.counts.items()})


class Split(ABC):
    """One split of a dataset: N rows that are fetched by whole batches, without any code per sample.

    A split of a user's own need not be a subclass: `__len__` and `__getitems__` are enough (`mtl_cli.datasets.base`).
    """

    labels_at_hand: ClassVar[bool] = False
    """Whether labels are in memory, so that those of every split are looked at before training."""
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


@dataclass(frozen=True)
class StackTarget:
    """The targets [B, T] of tasks that are computed as one; `counts` int64 [T], on the host, are each task's labels."""

    tasks: tuple[str, ...]
    values: Tensor
    counts: Tensor

    @cached_property
    def present(self) -> tuple[str, ...]:
        """The tasks that have a label."""
        return labelled_tasks(self.tasks, self.counts)

    def only(self, tasks: Collection[str]) -> "StackTarget":
        """Return the targets with the labels of some tasks alone counted."""
        taken = torch.tensor([task in tasks for task in self.tasks])
        return StackTarget(self.tasks, self.values, torch.where(taken, self.counts, 0))


def labelled_tasks(tasks: tuple[str, ...], counts: Tensor) -> tuple[str, ...]:
    """Return those of the tasks [T] whose number of labels, on the host, is not 0; `tasks` itself where all are."""
    if bool(counts.all()):
        return tasks
    return tuple(task for task, count in zip(tasks, counts.tolist(), strict=True) if count)


@dataclass(frozen=True)
class Batch:
    """Rows of one dataset with the targets of the tasks that have a label in it.

    `targets` and `counts` (labelled samples, tokens or pixels) are keyed by task; a task without any label is left out.
    `weights` [B] are those of rows in the loss, for tasks that have some. `stacks` are the targets of tasks that are
    computed as one, by the stack's name; one in which no task has a label is left out.
    """

    inputs: Inputs
    targets: Mapping[str, Tensor]
    counts: Mapping[str, int]
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    stacks: Mapping[str, StackTarget] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that have a label here, those of stacks excepted."""
        return tuple(self.targets)

    def apart(self) -> "Batch":
        """Return the same targets task by task, without stacks."""
        if not self.stacks:
            return self
        targets, counts = dict(self.targets), dict(self.counts)
        for stack in self.stacks.values():
            for row, (task, count) in enumerate(zip(stack.tasks, stack.counts.tolist(), strict=True)):
                if count:
                    targets[task], counts[task] = stack.values[:, row], count
        return Batch(self.inputs, targets, counts, self.weights)

    @property
    def rows(self) -> int:
        """Number of samples, labelled or not."""
        values = self.inputs.values
        return len(values if isinstance(values, Tensor) else next(iter(values.values())))


def move(values: Tensor | Mapping[str, Tensor], device: torch.device) -> Tensor | dict[str, Tensor]:
    """Return the tensor, or each tensor of the mapping, on `device`."""
    return change_values(lambda value: value.to(device, non_blocking=True), values)


def labelled(target: Tensor) -> Tensor:
    """True where a label entry is present, in the shape of `target`."""
    return ~torch.isnan(target) if target.is_floating_point() else target != MISSING_CLASS


def pad_sets(rows: Sequence[Tensor | None], shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return sets of entries, each [n, *shape], as one target [B, N, *shape], N ≥ 1 being the size of the largest.

    Beyond a set's own entries the target holds `NO_ENTRY` (integers: `NO_CLASS`). A row that is None has no label. All
    of its values are missing (NaN, integers −100), which distinguishes it from an empty set.
    """
    floats = dtype.is_floating_point
    size = max([1, *(len(row) for row in rows if row is not None)])
    target = torch.full((len(rows), size, *shape), NO_ENTRY if floats else NO_CLASS, dtype=dtype)
    for place, row in zip(target, rows, strict=True):
        if row is None:
            place.fill_(torch.nan if floats else MISSING_CLASS)
        else:
            place[: len(row)] = row
    return target


def set_entries(target: Tensor) -> Tensor:
    """True where a set of `target` [B, N, ...] has an entry [B, N]."""
    first = target.flatten(2)[:, :, 0] if target.ndim > 2 else target
    return first.isfinite() if target.is_floating_point() else (first != NO_CLASS) & (first != MISSING_CLASS)


def set_labelled(target: Tensor) -> Tensor:
    """True for the rows [B] of `target` [B, N, ...] that are labelled, also those whose set is empty."""
    return labelled(target.flatten(1)[:, 0])


def sets_of(target: Tensor) -> list[Tensor | None]:
    """Return the sets that `pad_sets` joined, None for a row without a label."""
    there, known = set_entries(target), set_labelled(target)
    return [row[mark] if labelled_row else None for row, mark, labelled_row in zip(target, there, known, strict=True)]


PLAIN = FieldSpec("real")
"""Spec of a field that is not a label: one number per row, such as its weight."""


def one_row(sample: Sample, place: int, specs: Mapping[str, FieldSpec]) -> Sample:
    """Return one row without a batch dimension; a `varying` field without its padding, left out where not labelled."""
    row = change_values(lambda value: value[place], sample.inputs)
    fields: dict[str, Tensor] = {}
    for name, values in sample.fields.items():
        (own,) = sets_of(values[place : place + 1]) if specs.get(name, PLAIN).varying else [values[place]]
        if own is not None:
            fields[name] = own
    return Sample(row, fields)


def stacked(rows: Sequence[Sample], specs: Mapping[str, FieldSpec]) -> Sample:
    """Return rows without a batch dimension, such as `one_row` makes, as a batch; `pad_maps` joins maps of any size."""
    first = rows[0].inputs
    if isinstance(first, Tensor):
        inputs: Values = pad_maps([row.inputs for row in rows if isinstance(row.inputs, Tensor)], 0.0)
    else:
        inputs = {
            name: pad_maps([row.inputs[name] for row in rows if not isinstance(row.inputs, Tensor)], 0.0)
            for name in first
        }
    fields = {}
    for name in dict.fromkeys(name for row in rows for name in row.fields):
        own = [row.fields.get(name) for row in rows]
        present = [field for field in own if field is not None]
        spec = specs.get(name, PLAIN)
        missing = torch.nan if present[0].is_floating_point() else MISSING_CLASS
        fields[name] = pad_sets(own, spec.shape, present[0].dtype) if spec.varying else pad_maps(present, missing)
    return Sample(inputs, fields)


def pad_maps(maps: Sequence[Tensor], fill: float) -> Tensor:
    """Return tensors stacked; those of different height and width [..., H, W] are filled up at the bottom and right.

    So are vectors [L] of different lengths.
    """
    if all(each.shape == maps[0].shape for each in maps):
        return torch.stack(list(maps))
    if maps[0].ndim == 1:
        return pad_sequence(list(maps), batch_first=True, padding_value=fill)
    height, width = (max(each.shape[axis] for each in maps) for axis in (-2, -1))
    return torch.stack([filled_up(each, (height, width), fill) for each in maps])


def filled_up(values: Tensor, size: tuple[int, int], fill: float) -> Tensor:
    """Return values [..., h, w] filled up at the bottom and right to `size` (H, W)."""
    if values.shape[-2:] == size:
        return values
    target = values.new_full((*values.shape[:-2], *size), fill)
    target[..., : values.shape[-2], : values.shape[-1]] = values
    return target
