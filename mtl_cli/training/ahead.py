"""Processes that read the batches of the next draws ahead of training."""

import itertools
import multiprocessing
import signal
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from mtl_cli.batch import Sample
from mtl_cli.errors import RunFailure
from mtl_cli.training.order import Order
from mtl_cli.training.reading import Reader


class Ahead:
    """Draws of one split, read ahead by `workers` processes, which start with the first one; independent of how many.

    Args:
        reader: reads the rows of a draw.
        workers: processes.
        pin: whether batches go to a GPU.
    """

    def __init__(self, reader: Reader, workers: int, pin: bool) -> None:
        self._reader, self._workers, self._pin = reader, workers, pin
        self._samples: Iterator[Sample] | None = None
        self._next = -1

    def draw(self, order: Order, number: int, stride: int) -> Sample:
        """Return the rows of a draw of `order`; the next one that is asked for is `stride` further.

        Raises:
            RunFailure: the processes cannot be started, one of them died, or reading failed.
        """
        name = self._reader.name
        if self._samples is None or number != self._next:
            self._samples = self._started(_Draws(order, number, stride))
        self._next = number + stride
        try:
            sample = next(self._samples)
        except RuntimeError as error:  # torch's words for a worker that is gone
            reason = str(error).splitlines()[0].rstrip(". ")
            raise RunFailure(
                f"A process that reads the data of '{name}' died at draw {number}: {reason}. "
                "Where memory ran out, use fewer data.workers; data.workers=0 reads in the training process."
            ) from error
        if isinstance(sample, Failure):
            raise RunFailure(f"Reading the data of '{name}' failed at draw {number}: {sample.reason}.")
        return sample

    def leave_out(self, number: int, stride: int) -> None:
        """Go on behind a draw without rows, which the processes leave out."""
        self._next += stride if number == self._next else 0

    def close(self) -> None:
        """Stop the processes."""
        self._samples = None

    def _started(self, draws: "_Draws") -> Iterator[Sample]:
        try:
            # As many queues as the loader makes: one that fails halfway cannot be tidied up without a traceback.
            queues: list[object] = [multiprocessing.Queue() for _ in range(self._workers + 2)]
            del queues
            return read_ahead(self._reader, draws, self._workers, self._pin)
        except OSError as error:
            if not (full := full_of_batches(error)):
                raise
            name = self._reader.name
            raise RunFailure(f"Cannot start processes that read the data of '{name}': {full}.") from error


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
            return self.reader.ahead(key[0], torch.from_numpy(key[1])).share_memory()
        except Exception as error:  # told by the training process, in one line
            told = full_of_batches(error) or f"{type(error).__name__}: {error}. data.workers=0 debug=true shows where"
            return Failure(told)  # type: ignore[return-value]  # see Ahead.draw


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
