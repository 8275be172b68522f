"""Measures where the time of training goes, by a stopwatch for each part of a step."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from torch.profiler import record_function


class Span:
    """Adds up the host's seconds in the `with` blocks that it guards; 0.4 µs per block. A span does not nest in itself.

    While `marked`, each block also appears under the span's name in a torch profiler's trace.
    """

    def __init__(self, name: str) -> None:
        self.name, self.seconds, self.marked = name, 0.0, False
        self._start = 0.0
        self._mark: record_function | None = None

    def __enter__(self) -> Self:
        """Start the stopwatch."""
        if self.marked:
            self._mark = record_function(self.name)
            self._mark.__enter__()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, and add the time."""
        self.seconds += time.perf_counter() - self._start
        if self._mark is not None:
            self._mark.__exit__(kind, error, trace)
            self._mark = None


class Spans:
    """The parts of training, named by what they do. `forward` lies within `balance`; the others follow one another."""

    def __init__(self) -> None:
        self.data = Span("data")
        """Drawing batches."""
        self.balance = Span("balance")
        """Forward and backward passes, and the work of the weighting on them."""
        self.forward = Span("forward")
        """Forward passes with their losses."""
        self.update = Span("update")
        """Gradient norm, clipping, optimizer and average of the weights."""
        self.wait = Span("wait")
        """Waiting for the device to finish, before a record is written."""
        self.records = Span("records")
        """Log records and the progress bar."""
        self.checkpoints = Span("checkpoints")
        """Checkpoints between evaluations."""
        self.profiler = Span("profiler")
        """Starting and ending a profile."""

    @property
    def all(self) -> tuple[Span, ...]:
        """Every span."""
        return tuple(vars(self).values())

    def take(self) -> dict[str, float]:
        """Return the seconds by name, and start again from 0."""
        taken = {span.name: span.seconds for span in self.all}
        for span in self.all:
            span.seconds = 0.0
        return taken


ARITHMETIC = ("balance", "update", "wait")
"""The spans in which the device computes, or is given work."""


def outside_arithmetic(seconds: Mapping[str, float], total: float) -> float:
    """Return the share of `total` seconds of training that is not arithmetic; NaN where nothing was trained.

    The cost of profiling is left out of the share and of the total.
    """
    total -= seconds.get("profiler", 0.0)
    return 1.0 - sum(seconds.get(name, 0.0) for name in ARITHMETIC) / total if total > 0 else float("nan")
