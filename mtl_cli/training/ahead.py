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
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mtl_cli.batch import Sample
from mtl_cli.errors import RunFailure
from mtl_cli.training.order import Order
from mtl_cli.training.reading import Reader
from mtl_cli.training.slots import LINE, Slots, Writer, Written

DRAWS, IN_USE = 2, 2
"""Draws that each process reads ahead, and draws that training may have in hand, each with a slot."""


class Ahead:
    """Draws of one split, read ahead by `workers` processes, which start with the first one; independent of how many.

    Args:
        reader: reads the rows of a draw.
        workers: processes.
        pin: whether batches go to a GPU.
    """

    def __init__(self, reader: Reader, workers: int, pin: bool) -> None:
        self._reader, self._workers, self._pin = reader, workers, pin
        self._reading: tuple[Slots, Iterator[Written]] | None = None
        self._next = -1

    def draw(self, order: Order, number: int, stride: int) -> Sample:
        """Return the rows of a draw of `order`; the next one that is asked for is `stride` further.

        Raises:
            RunFailure: the processes cannot be started, one of them died, or reading failed.
        """
        name = self._reader.name
        if self._reading is None or number != self._next:
            self._reading = self._started(order, number, stride)
        self._next = number + stride
        slots, batches = self._reading
        try:
            written = next(batches)
        except RuntimeError as error:  # torch's words for a worker that is gone
            reason = str(error).splitlines()[0].rstrip(". ")
            raise RunFailure(
                f"A process that reads the data of '{name}' died at draw {number}: {reason}. "
                "Where memory ran out, use fewer data.workers; data.workers=0 reads in the training process."
            ) from error
        if isinstance(written, Failure):
            raise RunFailure(f"Reading the data of '{name}' failed at draw {number}: {written.reason}.")
        return slots.read(written)

    def leave_out(self, number: int, stride: int) -> None:
        """Go on behind a draw without rows, which the processes leave out."""
        self._next += stride if number == self._next else 0

    def close(self) -> None:
        """Stop the processes."""
        self._reading = None

    def _started(self, order: Order, number: int, stride: int) -> tuple[Slots, Iterator[Written]]:
        """Return the slots of processes that begin with a draw, and what they write there."""
        try:
            # As many queues as the loader makes: one that fails halfway cannot be tidied up without a traceback.
            queues: list[object] = [multiprocessing.Queue() for _ in range(self._workers + 2)]
            del queues
            slots = Slots(0 if self._pin else DRAWS * self._workers + IN_USE, self._batch_bytes(order))
            draws = _Draws(order, number, stride, slots)
            return slots, read_ahead(_WholeBatches(self._reader, slots.memory), draws, self._workers, self._pin)
        except (OSError, RuntimeError) as error:
            if not (full := full_of_batches(error)):
                raise
            name = self._reader.name
            raise RunFailure(f"Cannot start processes that read the data of '{name}': {full}.") from error

    def _batch_bytes(self, order: Order) -> int:
        """Return the memory of a batch whose rows are all as large as the first one."""
        try:
            row = self._reader.ahead(0, torch.zeros(1, dtype=torch.int64))
        except Exception:  # a process that reads tells what is wrong with it, should it be drawn
            return 0
        return (row.nbytes + LINE) * order.batch_size


@dataclass(frozen=True)
class Key:
    """Number of a draw, its rows [B] (an array, which goes through a pipe) and the slot that its batch goes to."""

    draw: int
    rows: np.ndarray
    slot: int | None


class _Draws(Sampler[Key]):
    """The rows of every draw from `start` on, or of every `stride`-th of them, without end."""

    def __init__(self, order: Order, start: int, stride: int, slots: Slots) -> None:
        self.order, self.start, self.stride, self.slots = order, start, stride, slots

    def __iter__(self) -> Iterator[Key]:
        for draw in itertools.count(self.start, self.stride):
            rows = self.order.rows(draw)
            if len(rows):  # a Poisson sample may be empty
                yield Key(draw, rows.numpy(), self.slots.take())


class _WholeBatches(torch.utils.data.Dataset[Written]):
    """A dataset whose item is a whole batch: its key is what the sampler yields; `memory` [slots, bytes] is shared.

    The batch is put into shared memory here. The queue would do it in a thread whose errors nobody sees: where the
    shared memory is full the training process waits for ever.
    """

    def __init__(self, reader: Reader, memory: Tensor) -> None:
        self.reader, self.memory = reader, memory

    def __getitem__(self, key: Key) -> Written:
        writer = Writer(self.memory[:0].flatten() if key.slot is None else self.memory[key.slot])
        try:
            sample = self.reader.ahead(key.draw, torch.from_numpy(key.rows), writer.empty)
            return Written(sample.changed(writer.written), key.slot)
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


def read_ahead(batches: _WholeBatches, draws: _Draws, workers: int, pin: bool) -> Iterator[Written]:
    """Return draws, read by `workers` processes; independent of how many."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")  # the head of a run says so in one line
        loader: DataLoader[Written] = DataLoader(
            batches,
            batch_size=None,
            sampler=draws,
            num_workers=workers,
            prefetch_factor=DRAWS,
            generator=torch.Generator().manual_seed(0),
            pin_memory=pin,
            worker_init_fn=leave_signals_to_the_trainer,
        )
        return iter(loader)
