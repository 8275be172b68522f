"""From datasets to batches with the targets of their tasks."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mtl_cli.batch import (
    Batch,
    FieldSpec,
    Inputs,
    LabelledSplit,
    Sample,
    StackCounts,
    StackTarget,
    labelled,
    move,
    per_task,
)
from mtl_cli.datasets.base import Augmentation, Dataset, as_split
from mtl_cli.errors import UserError
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.training.ahead import Ahead
from mtl_cli.training.order import Order
from mtl_cli.training.reading import Block, Marks, Reader, label_counts

AT_ONCE, MOST_AT_ONCE = 2**20, 16
"""Bytes and draws that are read at once, at most, where rows are at hand: they stay in the caches until used."""
LINE = 16
"""Each batch begins at a multiple of so many rows there, thus at one of 64 bytes, as one that is read alone does: the
last bits of a product may depend on that."""
SMALL_BATCH = 128
"""Rows up to which an evaluation on a CPU puts batches together."""


SweepBatch = tuple[Callable[[Tensor], Sample], Tensor, Mapping[str, str], Sequence[TaskStack[Any]]]
"""How a batch of a sweep is read, its rows [B], the label field of each task, and tasks that are computed as one."""


class Stream:
    """Batches of one split of one dataset, with the targets of its tasks.

    Args:
        dataset: the split.
        name: the dataset's name.
        targets: label field by task.
        order: the rows of each draw.
        device: where batches go.
        workers: processes that read ahead; 0 reads in this one.
        marks: where a target has labels, by task; `labelled` says so where a task is not named.
        augmentation: what rows are changed by as they are drawn.
        specs: all label fields, those that the augmentation adds included; needed with one.
        weights: field of the rows' weights by task, for tasks that have some.
        stacks: tasks among those of `targets` that are computed as one.
        prepared: whether the targets of stacks are what their losses take, instead of what their metrics take.
    """

    def __init__(
        self,
        dataset: Dataset,
        name: str,
        targets: Mapping[str, str],
        order: Order,
        device: torch.device,
        workers: int = 0,
        marks: Mapping[str, Marks] | None = None,
        augmentation: Augmentation | None = None,
        specs: Mapping[str, FieldSpec] | None = None,
        weights: Mapping[str, str] | None = None,
        stacks: Sequence[TaskStack[Any]] = (),
        prepared: bool = False,
    ) -> None:
        self.weights, self.stacks, self._prepared = dict(weights or {}), tuple(stacks), prepared
        self.stride = 1
        """From one draw that is asked for to the next: the number of ranks, which take draws in turns."""
        self.name, self.targets, self.order, self.device, self.workers = name, dict(targets), order, device, workers
        self.rows = as_split(dataset)
        stacked = {task for stack in self.stacks for task in stack.names}
        self.apart = {task: field for task, field in targets.items() if task not in stacked}
        """The label fields of tasks that are computed on their own."""
        blocks: dict[str, Block] = {}
        rows = self.rows
        if isinstance(rows, LabelledSplit) and augmentation is None:
            place = device if workers == 0 else torch.device("cpu")
            blocks = {stack.name: self._block(rows, stack).to(place) for stack in self.stacks}
            asked = {*self.apart.values(), *self.weights.values()}
            rows = rows.without({field for stack in self.stacks for field in stack.fields} - asked)
        moved = rows.to(device) if workers == 0 and augmentation is None else rows
        marks_of = {task: (marks or {}).get(task, labelled) for task in self.apart}
        self.added = {task for task, field in targets.items() if augmentation and field in augmentation.adds}
        """Tasks on fields that the augmentation adds, which a sweep evaluates apart."""
        known = {}
        if augmentation is None and (rows.labels_at_hand or moved is not rows):
            known = {task: label_counts(self.rows, field, marks_of[task]) for task, field in self.apart.items()}
        self.reader = Reader(moved, name, order.seed, self.apart, marks_of, augmentation, specs or {}, known, blocks)
        self._ahead = Ahead(self.reader, workers, device.type == "cuda") if workers else None
        self._read: dict[int, list[Batch]] = {}
        """Draws that were read with one before them, by number."""

    def batches(self, draw: int, parts: int | None = 1) -> list[Batch]:
        """Return draw number `draw`, split into `parts` batches of nearly equal size, or row by row; none if empty."""
        if parts == 1 and self._at_once > 1:
            if draw not in self._read:
                self._read = self._draws_from(draw)
            return self._read.pop(draw)
        indices = self.order.rows(draw)
        if not len(indices):
            if self._ahead is not None:
                self._ahead.leave_out(draw, self.stride)
            return []
        parts = len(indices) if parts is None else parts
        if self._ahead is None:
            sample = self.reader.draw(draw, indices)
        else:
            sample = self._ahead.draw(self.order, draw, self.stride)
        if parts == 1:
            return [self._batch(sample, len(indices), self.apart)]
        return self._cut(sample, [len(indices) * part // parts for part in range(parts + 1)])

    @cached_property
    def _at_once(self) -> int:
        """How many draws are read at once: of small batches that are not augmented, many."""
        if self.workers or self.reader.augmentation is not None or not self.rows.fixed_size or not len(self.rows):
            return 1
        one = self.reader.as_they_are(torch.zeros(1, dtype=torch.int64))
        return max(1, min(MOST_AT_ONCE, AT_ONCE // max(1, one.nbytes * self.order.batch_size)))

    def _draws_from(self, first: int) -> dict[int, list[Batch]]:
        """Return the draws that are read at once with draw number `first`, by number: each as it is when read alone."""
        draws = range(first, first + self._at_once * self.stride, self.stride)
        rows = [self.order.rows(draw) for draw in draws]
        lengths = [own.shape[0] for own in rows]
        size = -(-max(lengths) // LINE) * LINE
        table = pad_sequence([*rows, torch.zeros(size, dtype=torch.int64)], batch_first=True)[:-1]
        sample = self.reader.draw(first, table.flatten())
        return {
            draw: self._cut(sample, [start, start + length]) if length else []
            for draw, start, length in zip(draws, itertools.count(0, size), lengths, strict=False)
        }

    def _cut(self, sample: Sample, bounds: Sequence[int]) -> list[Batch]:
        """Return rows as batches, which end where the next one starts."""
        return [
            self._batch(sample.rows(start, stop), stop - start, self.apart)
            for start, stop in itertools.pairwise(bounds)
        ]

    def sweep(self) -> Iterator[Batch]:
        """Yield every row once, as `numbered_sweep` does."""
        return (batch for _, batch in self.numbered_sweep())

    def numbered_sweep(self, first: int = 0, every: int = 1) -> Iterator[tuple[Tensor, Batch]]:
        """Yield all rows once with their numbers, `sweep_size` at a time, in order, of texts the shortest first.

        Of the batches, `first` and each `every`-th from there on are read.

        Rows are not augmented. Where tasks have fields that the augmentation adds, the rows come once more for these
        tasks alone, with the same augmentation in every sweep.
        """
        for number, (read, rows, targets, stacks) in enumerate(self._batches_of_sweep()):
            if number % every == first:
                yield rows, self._batch(read(rows), len(rows), targets, stacks)

    def target(self, task: str, sample: Sample) -> Tensor:
        """Return the target [B, ...] of a task in rows that the reader gave."""
        for stack in self.stacks:
            if stack.name in sample.fields and task in stack.names:
                return sample.fields[stack.name][:, stack.names.index(task)]
        return sample.fields[self.targets[task]]

    def close(self) -> None:
        """Stop the workers."""
        if self._ahead is not None:
            self._ahead.close()

    def _batches_of_sweep(self) -> Iterator[SweepBatch]:
        """Yield how each batch of a sweep is read, its rows, its targets and stacks."""
        own = {task: field for task, field in self.apart.items() if task not in self.added}
        if own or self.stacks or not self.added:
            yield from ((self.reader.as_they_are, rows, own, self.stacks) for rows in self._chunks())
        if self.added:
            added = {task: self.targets[task] for task in self.added}
            yield from ((self.reader.with_added, rows, added, ()) for rows in self._chunks())

    def _chunks(self) -> Iterator[Tensor]:
        """Yield the numbers of all rows, as many as an evaluation takes at a time."""
        lengths, alike, total = self.order.lengths, self.rows.alike, len(self.rows)
        size = sweep_size(self.order.batch_size, self.device)
        if lengths is None and alike is None:  # so that the numbers of all rows are never held at once
            yield from (torch.arange(start, min(start + size, total)) for start in range(0, total, size))
            return
        everything = torch.arange(total) if lengths is None else torch.argsort(lengths, stable=True)
        yield from (chunk for group in groups(everything, alike) for chunk in group.split(size))

    def _batch(
        self,
        sample: Sample,
        num_rows: int,
        targets: Mapping[str, str],
        stacks: Sequence[TaskStack[Any]] | None = None,
    ) -> Batch:
        counts = {task: self._count(task, sample, num_rows) for task in targets}
        present = {
            task: label_on(sample.fields[field], field, self.device) for task, field in targets.items() if counts[task]
        }
        inputs = Inputs(self.reader.rows.finished(move(sample.inputs, self.device)), self.name)
        weights = {
            task: sample.fields[field].to(self.device, non_blocking=True)
            for task, field in self.weights.items()
            if task in present
        }
        joined = {stack.name: self._joined(stack, sample) for stack in (self.stacks if stacks is None else stacks)}
        joined = {name: each for name, each in joined.items() if each.present}
        return Batch(inputs, present, {task: counts[task] for task in present}, weights, joined)

    def _block(self, rows: LabelledSplit, stack: TaskStack[Any]) -> Block:
        """Return all targets of a stack."""
        labels = torch.stack([rows.labels(field) for field in stack.fields], dim=1)
        marks = labelled(labels)
        return Block(stack.prepared(labels) if self._prepared else labels, None if bool(marks.all()) else marks)

    def _joined(self, stack: TaskStack[Any], sample: Sample) -> StackTarget:
        """Return the targets of tasks that are computed as one, with the number of labels of each."""
        values = sample.fields.get(stack.name)
        counts: StackCounts
        if values is None:
            values = torch.stack([sample.fields[field] for field in stack.fields], dim=1)
            values = stack.prepared(values) if self._prepared else values
            counts = per_task(labelled(values)).cpu()
        elif stack.name in sample.counts:
            counts = per_task(sample.counts[stack.name])
        else:
            counts = values.numel() // len(stack.names)
        return StackTarget(stack.names, label_on(values, stack.fields[0], self.device), counts)

    def _count(self, task: str, sample: Sample, num_rows: int) -> int:
        known = self.reader.known.get(task)
        return num_rows * known if isinstance(known, int) else int(sample.counts[task].sum())


def groups(rows: Tensor, alike: Tensor | None) -> list[Tensor]:
    """Return rows [N] divided by their numbers in `alike`, which is None where all are alike."""
    if alike is None or not len(rows):
        return [rows]
    return [rows[alike[rows] == number] for number in alike.unique().tolist()]


def label_on(label: Tensor, field: str, device: torch.device) -> Tensor:
    """Return a label field [B, ...] on a device.

    Raises:
        UserError: it needs float64, which the device does not have.
    """
    if device.type == "mps" and label.dtype == torch.float64:
        raise UserError(f"The labels of '{field}' need float64, which mps does not have. Use trainer.device=cpu.")
    return label.to(device, non_blocking=True)


def sweep_size(batch_size: int, device: torch.device) -> int:
    """Return how many rows an evaluation takes at a time, given those of a training batch.

    An accelerator takes four batches: there is room without gradients. A CPU puts only small batches together: the
    default CNN evaluates 3.2 times the samples/s of training in batches of 128, and 1.9 times in batches of 512, whose
    activations no longer fit the caches and are new pages of memory each time.
    """
    return 4 * batch_size if device.type != "cpu" else max(batch_size, min(4 * batch_size, SMALL_BATCH))
