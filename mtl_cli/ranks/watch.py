"""Finds out which rank of a run has died, hangs or has failed, and tells the others."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Protocol

from torch.distributed import Store  # type: ignore[attr-defined]

from mtl_cli.errors import EXIT_FAILURE, EXIT_USAGE, RunFailure, UserError

BEAT_SECONDS = 1.0
"""Seconds between the signs of life of a rank."""
SILENT_SECONDS = 20.0
"""Seconds without one after which a rank is taken for dead."""
STUCK_SECONDS = 40.0
"""Seconds in which a rank neither computes a micro-batch nor waits for the others, after which it hangs, unless it has
taken a tenth of that before."""
LEAVE_SECONDS = 25.0
"""Seconds in which a rank finds out why it lost the others; it ends after as many more, whatever it does."""
LOST = "lost"
"""The key of the store under which the first failure stands."""


class RankLost(RunFailure):
    """Another rank has ended or does not answer, so that this one cannot go on either."""


class Watched(Protocol):
    """What collectives and the training loop tell the watch of a rank, and learn from it."""

    waiting: bool
    """Whether this rank waits for the others."""
    lost: str | None
    """Which rank is gone, and why; None while all are there."""

    def error(self) -> Exception:
        """Return the error with which this rank ends because another is gone."""

    def stepped(self) -> None:
        """Note the end of a step: from the first one on, a rank that does not move is noticed."""

    def moved(self) -> None:
        """Note that this rank got on with its work."""

    def patient(self) -> contextlib.AbstractContextManager[None]:
        """Return a block of work of unknown length, such as reading or writing files."""

    def close(self, failure: str | None = None) -> None:
        """End the watch, telling the others why this rank ends where it failed."""


class NoWatch:
    """The watch of a process that is alone."""

    waiting = False
    lost: str | None = None

    def error(self) -> Exception:
        """Return an error that never comes up."""
        return RankLost("No rank is lost")

    def stepped(self) -> None:
        """Do nothing."""

    def moved(self) -> None:
        """Do nothing."""

    def patient(self) -> contextlib.AbstractContextManager[None]:
        """Return a block in which nothing is watched."""
        return contextlib.nullcontext()

    def close(self, failure: str | None = None) -> None:
        """Do nothing."""


class Watch:
    """A thread that gives signs of life in the store that all ranks share, and looks for those of the others.

    1. Each rank counts up under its name, once per `BEAT_SECONDS`, and says when its main thread is stuck.
    2. The first rank looks at all of them, and at the processes that it started itself. It writes the first failure
       under `LOST`. The others look at this key, and at whether the first rank still answers.
    3. A rank whose main thread does not leave in time is ended.

    Args:
        store: the store of the ranks; the watch has a connection of its own.
        rank: the number of this rank.
        size: of so many.
        children: processes that this one started, by rank.
    """

    def __init__(
        self, store: Store, rank: int, size: int, children: Mapping[int, "subprocess.Popen[bytes]"] | None = None
    ) -> None:
        self.waiting, self.lost = False, None  # type: bool, str | None
        self._store = store.clone()  # type: ignore[attr-defined]  # has no stub
        self._rank, self._size, self._children = rank, size, dict(children or {})
        self._store.set_timeout(timedelta(seconds=SILENT_SECONDS))
        self._last, self._longest, self._patient = time.monotonic(), 0.0, 0
        self._started = False  # before the first step nothing is expected: much is set up
        self._done = threading.Event()
        self._seen: dict[int, tuple[str, float]] = {}
        self._lost_at = 0.0
        self._beat(0)  # so that a rank that has come is missed from the start
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def moved(self) -> None:
        """Note that this rank got on with its work."""
        now = time.monotonic()
        if self._is_expected:
            self._longest = max(self._longest, now - self._last)
        self._last = now

    @property
    def _is_expected(self) -> bool:
        return self._started and not self.waiting and not self._patient

    def stepped(self) -> None:
        """Note the end of a step: from the first one on, a rank that does not move is noticed."""
        self.moved()
        self._started = True

    def error(self) -> Exception:
        """Return the error with which this rank ends because another is gone."""
        code, _, what = (self.lost or f"{EXIT_FAILURE} A rank is lost").partition(" ")
        return UserError(what) if code == str(EXIT_USAGE) else RankLost(f"{what}.")

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """Run a block of work of unknown length."""
        self._patient += 1
        try:
            yield
        finally:
            self._last = time.monotonic()
            self._patient -= 1

    def close(self, failure: str | None = None) -> None:
        """End the watch, telling the others why this rank ends where it failed."""
        if failure is not None and self.lost is None:
            with contextlib.suppress(RuntimeError):
                code, _, what = failure.partition(" ")
                own = what if code == str(EXIT_USAGE) else f"Rank {self._rank} has failed: {what.rstrip('.')}"
                self._tell(own, int(code))
        self._done.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        beat = 0
        while not self._done.wait(BEAT_SECONDS):
            beat += 1
            try:
                if self.lost is None:
                    self._beat(beat)
                    self._look()
            except RuntimeError:  # the store is on the first rank, or with the program that started all
                if self._done.is_set():
                    return
                self.lost = self.lost or f"{EXIT_FAILURE} Rank 0 has ended, or does not answer"
            if self.lost is not None:
                self._lost_at = self._lost_at or time.monotonic()
                if time.monotonic() - self._lost_at > LEAVE_SECONDS:
                    self._end()

    def _beat(self, number: int) -> None:
        age = time.monotonic() - self._last if self._is_expected else 0.0
        stuck = age > max(STUCK_SECONDS, 10 * self._longest)
        self._store.set(f"beat/{self._rank}", f"{number} {age if stuck else 0:.0f} {os.getpid()}")

    def _look(self) -> None:
        if self.lost is None and self._rank == 0:
            self._look_at_children()
            self._look_at_beats()
        if self.lost is None and self._store.check([LOST]):
            self.lost = self._store.get(LOST).decode()

    def _look_at_children(self) -> None:
        for rank, child in self._children.items():
            code = child.poll()
            if code is not None and self.lost is None:
                if self._store.check([LOST]):  # it said why
                    return
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                self._tell(f"Rank {rank} (process {child.pid}) {how}")

    def _look_at_beats(self) -> None:
        keys = [f"beat/{rank}" for rank in range(self._size)]
        now = time.monotonic()
        for rank, key in enumerate(keys):
            beat = self._store.get(key).decode() if self._store.check([key]) else ""
            if rank not in self._seen or self._seen[rank][0] != beat:
                self._seen[rank] = beat, now
            _, age, process = beat.split() if beat else ("", "0", "?")
            silent = now - self._seen[rank][1]
            if beat and silent > SILENT_SECONDS:
                self._tell(f"Rank {rank} (process {process}) has given no sign of life for {silent:.0f} s")
            elif age != "0":
                self._tell(f"Rank {rank} (process {process}) hangs: it has not moved for {age} s")
            if self.lost is not None:
                if rank in self._children:
                    self._children[rank].kill()
                return

    def _tell(self, what: str, code: int = EXIT_FAILURE) -> None:
        if not self._store.check([LOST]):
            self._store.set(LOST, f"{code} {what}")
        self.lost = self._store.get(LOST).decode()

    def _end(self) -> None:
        for child in self._children.values():
            child.kill()
        print(f"error: {self.error()} Rank {self._rank} does not leave by itself.", file=sys.stderr, flush=True)
        os._exit(EXIT_FAILURE)
