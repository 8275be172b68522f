"""From datasets to batches with the targets of their tasks."""

import itertools
import multiprocessing
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mtl_cli.batch import Batch, FieldSpec, Inputs, LabelledSplit, Sample, StackCounts, StackTarget, labelled, move
from mtl_cli.datasets.base import Augmentation, Dataset, as_split
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.training.order import Order
from mtl_cli.training.reading import Block, Marks, Reader, label_counts

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
        self._ahead: Iterator[Sample] | None = None
        self._next = -1

    def batches(self, draw: int, parts: int | None = 1) -> list[Batch]:
        """Return draw number `draw`, split into `parts` batches of nearly equal size, or row by row; none if empty."""
        indices = self.order.rows(draw)
        if not len(indices):
            self._next += self.stride if draw == self._next else 0  # workers leave it out
            return []
        parts = len(indices) if parts is None else parts
        sample = self._read(draw, indices)
        if parts == 1:
            return [self._batch(sample, len(indices), self.apart)]
        bounds = [len(indices) * part // parts for part in range(parts + 1)]
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
        self._ahead = None

    def _batches_of_sweep(self) -> Iterator[SweepBatch]:
        """Yield how each batch of a sweep is read, its rows, its targets and stacks."""
        own = {task: field for task, field in self.apart.items() if task not in self.added}
        lengths = self.order.lengths
        everything = torch.arange(len(self.rows)) if lengths is None else torch.argsort(lengths, stable=True)
        size = sweep_size(self.order.batch_size, self.device)
        chunks = [chunk for group in groups(everything, self.rows.alike) for chunk in group.split(size)]
        if own or self.stacks or not self.added:
            yield from ((self.reader.as_they_are, rows, own, self.stacks) for rows in chunks)
        if self.added:
            added = {task: self.targets[task] for task in self.added}
            yield from ((self.reader.with_added, rows, added, ()) for rows in chunks)

    def _read(self, draw: int, indices: Tensor) -> Sample:
        if self.workers == 0:
            return self.reader.draw(draw, indices)
        if self._ahead is None or draw != self._next:
            draws = _Draws(self.order, draw, self.stride)
            try:
                queues: list[object] = [
                    multiprocessing.Queue() for _ in range(self.workers + 2)
                ]  # as many as the loader makes
                del queues  # one that fails halfway cannot be tidied up without a traceback
                self._ahead = read_ahead(self.reader, draws, self.workers, self.device.type == "cuda")
            except OSError as error:
                if not (full := full_of_batches(error)):
                    raise
                raise RunFailure(f"Cannot start processes that read the data of '{self.name}': {full}.") from error
        self._next = draw + self.stride
        try:
            sample = next(self._ahead)
        except RuntimeError as error:  # torch's words for a worker that is gone
            reason = str(error).splitlines()[0].rstrip(". ")
            raise RunFailure(
                f"A process that reads the data of '{self.name}' died at draw {draw}: {reason}. "
                "Where memory ran out, use fewer data.workers; data.workers=0 reads in the training process."
            ) from error
        if isinstance(sample, Failure):
            raise RunFailure(f"Reading the data of '{self.name}' failed at draw {draw}: {sample.reason}.")
        return sample

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
        inputs = Inputs(move(sample.inputs, self.device), self.name)
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
            counts = labelled(values).sum(dim=0).cpu()
        elif stack.name in sample.counts:
            counts = sample.counts[stack.name].sum(dim=0)
        else:
            counts = len(values)
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


Key = tuple[int, np.ndarray]
"""Number of a draw, and its rows [B]: an array, which goes through a pipe, where a tensor would need shared memory."""


class _Draws(Sampler[Key]):
    """The rows of every draw from `start` on, or of every `stride`-th of them, without end."""

    def __init__(self, order: Order, start: int, stride: int = 1) -> None:
        self.order, self.start, self.stride = order, start, stride

    def __iter__(self) -> Iterator[Key]:
        for draw in itertools.count(self.start, self.stride):
            rows = self.order.rows(draw)
            if len(rows):  # a Poisson sample may be empty
                yield draw, rows.numpy()


class _WholeBatches(torch.utils.data.Dataset[Sample]):
    """A dataset whose item is a whole batch: its key is what the sampler yields.

    The batch is put into shared memory here. The queue would do it in a thread whose errors nobody sees: where the
    shared memory is full the training process waits for ever.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def __getitem__(self, key: Key) -> Sample:
        try:
            return self.reader.draw(key[0], torch.from_numpy(key[1])).share_memory()
        except Exception as error:  # told by the training process, in one line
            full, other = (
                full_of_batches(error),
                f"{type(error).__name__}: {error}. data.workers=0 debug=true shows where",
            )
            return Failure(full or other)  # type: ignore[return-value]  # see Stream._read


def full_of_batches(error: BaseException) -> str:
    """Return what to do about shared memory that is full, or an empty string for other errors."""
    if "No space left on device" not in str(error):
        return ""
    return "/dev/shm, through which processes hand over batches, is full. Make it larger, or use data.workers=0"


@dataclass(frozen=True)
class Failure:
    """Why a worker could not read a batch, and what to do about it."""

    reason: str


def leave_signals_to_the_trainer(worker: int) -> None:
    """Let a worker live on when its whole process group is told to stop, so that the trainer can finish its step.

    SIGTERM comes a second time from the trainer itself, to a worker that hangs: then it ends.
    """

    def end_next_time(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end_next_time)


def read_ahead(reader: Reader, draws: _Draws, workers: int, pin: bool) -> Iterator[Sample]:
    """Return draws, read by `workers` processes; independent of how many."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # the head of a run says so in one line
        loader: DataLoader[Sample] = DataLoader(
            _WholeBatches(reader),
            batch_size=None,
            sampler=draws,
            num_workers=workers,
            generator=torch.Generator().manual_seed(0),
            pin_memory=pin,
            worker_init_fn=leave_signals_to_the_trainer,
        )
        return iter(loader)
