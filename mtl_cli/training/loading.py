"""From datasets to batches with the targets of their tasks."""

import itertools
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mtl_cli.batch import Batch, Inputs, Sample, labelled, move
from mtl_cli.datasets.base import Dataset
from mtl_cli.errors import RunFailure
from mtl_cli.training.order import Order

SMALL_BATCH = 128
"""Rows up to which an evaluation on a CPU puts batches together."""
Marks = Callable[[Tensor], Tensor]
"""From a target [B, ...] to where it has labels, one mark a label."""


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
    ) -> None:
        self.dataset = dataset.to(device) if workers == 0 and hasattr(dataset, "to") else dataset
        self.name, self.targets, self.order, self.device, self.workers = name, dict(targets), order, device, workers
        labels = {field: dataset.labels(field) for field in set(targets.values())}
        known = marks or {}
        self._labels = {task: label_counts(labels[field], known.get(task, labelled)) for task, field in targets.items()}
        self._ahead: Iterator[Sample] | None = None
        self._next = -1

    @property
    def fully_labelled(self) -> bool:
        """Whether every row has a label of every task."""
        return all(count > 0 if isinstance(count, int) else bool((count > 0).all()) for count in self._labels.values())

    def batches(self, draw: int, parts: int = 1) -> list[Batch]:
        """Return draw number `draw`, split into `parts` batches of nearly equal size."""
        rows = self.order.rows(draw)
        sample = self._read(draw, rows)
        if parts == 1:
            return [self._batch(sample, rows)]
        bounds = [len(rows) * part // parts for part in range(parts + 1)]
        return [self._batch(cut(sample, start, stop), rows[start:stop]) for start, stop in itertools.pairwise(bounds)]

    def sweep(self) -> Iterator[Batch]:
        """Yield every row once, `sweep_size` at a time, in order, the shortest first where rows have lengths."""
        lengths = self.order.lengths
        everything = torch.arange(len(self.dataset)) if lengths is None else torch.argsort(lengths, stable=True)
        size = sweep_size(self.order.batch_size, self.device)
        for start in range(0, len(everything), size):
            rows = everything[start : start + size]
            yield self._batch(self.dataset.__getitems__(rows), rows)

    def close(self) -> None:
        """Stop the workers."""
        self._ahead = None

    def _read(self, draw: int, rows: Tensor) -> Sample:
        if self.workers == 0:
            return self.dataset.__getitems__(rows)
        if self._ahead is None or draw != self._next:
            self._ahead = read_ahead(self.dataset, self.order, draw, self.workers, self.device.type == "cuda")
        self._next = draw + 1
        try:
            sample = next(self._ahead)
        except RuntimeError as error:  # torch's words for a worker that is gone
            reason = str(error).splitlines()[0].rstrip(". ")
            raise RunFailure(
                f"A process that reads the data of '{self.name}' died at draw {draw}: {reason}. "
                "Where memory ran out, use fewer data.workers; data.workers=0 reads in the training process."
            ) from error
        if isinstance(sample, Failure):
            raise RunFailure(
                f"Reading the data of '{self.name}' failed at draw {draw}: {sample.reason}. "
                "data.workers=0 debug=true shows where."
            )
        return sample

    def _batch(self, sample: Sample, rows: Tensor) -> Batch:
        counts = {task: self._count(task, rows) for task in self.targets}
        targets = {
            task: sample.fields[field].to(self.device, non_blocking=True)
            for task, field in self.targets.items()
            if counts[task]
        }
        inputs = Inputs(move(sample.inputs, self.device), self.name)
        return Batch(inputs, targets, {task: counts[task] for task in targets})

    def _count(self, task: str, rows: Tensor) -> int:
        per_row = self._labels[task]
        return len(rows) * per_row if isinstance(per_row, int) else int(per_row[rows].sum())


def sweep_size(batch_size: int, device: torch.device) -> int:
    """Return how many rows an evaluation takes at a time, given those of a training batch.

    An accelerator takes four batches: there is room without gradients. A CPU puts only small batches together: the
    default CNN evaluates 3.2 times the samples/s of training in batches of 128, and 1.9 times in batches of 512, whose
    activations no longer fit the caches and are new pages of memory each time.
    """
    return 4 * batch_size if device.type != "cpu" else max(batch_size, min(4 * batch_size, SMALL_BATCH))


def label_counts(labels: Tensor, marks_of: Marks = labelled) -> Tensor | int:
    """Return the number of labels of each row [N] of labels [N, ...], or one number where all rows have the same."""
    marks = marks_of(labels)
    per_row = marks.int() if marks.ndim == 1 else marks.flatten(1).sum(dim=1, dtype=torch.int32)
    same = len(per_row) > 0 and bool((per_row == per_row[0]).all())
    return int(per_row[0]) if same else per_row


def cut(sample: Sample, start: int, stop: int) -> Sample:
    """Return rows `start` … `stop` of a sample."""
    inputs = sample.inputs
    part = (
        inputs[start:stop]
        if isinstance(inputs, Tensor)
        else {name: value[start:stop] for name, value in inputs.items()}
    )
    return Sample(part, {name: value[start:stop] for name, value in sample.fields.items()})


class _Draws(Sampler[tuple[int, Tensor]]):
    """The rows of every draw from `start` on, without end."""

    def __init__(self, order: Order, start: int) -> None:
        self.order, self.start = order, start

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        for draw in itertools.count(self.start):
            yield draw, self.order.rows(draw)


class _WholeBatches(torch.utils.data.Dataset[Sample]):
    """A dataset whose item is a whole batch: its key is what the sampler yields."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, key: tuple[int, Tensor]) -> Sample:
        try:
            return self.dataset.__getitems__(key[1])
        except Exception as error:  # told by the training process, in one line
            return Failure(f"{type(error).__name__}: {error}")  # type: ignore[return-value]  # see Stream._read


@dataclass(frozen=True)
class Failure:
    """Why a worker could not read a batch."""

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


def read_ahead(dataset: Dataset, order: Order, start: int, workers: int, pin: bool) -> Iterator[Sample]:
    """Return the draws from `start` on, read by `workers` processes; independent of how many."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # the head of a run says so in one line
        loader: DataLoader[Sample] = DataLoader(
            _WholeBatches(dataset),
            batch_size=None,
            sampler=_Draws(order, start),
            num_workers=workers,
            generator=torch.Generator().manual_seed(0),
            pin_memory=pin,
            worker_init_fn=leave_signals_to_the_trainer,
        )
        return iter(loader)
