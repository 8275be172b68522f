"""A profile of some steps of training: a trace for a viewer, and one table of where a step's time goes."""

import gzip
import logging
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch.profiler import ProfilerActivity, profile

from mtl_cli.errors import RunFailure
from mtl_cli.files import make_folder, write_bytes, write_json, write_text
from mtl_cli.report.spans import Spans
from mtl_cli.report.tables import table

logger = logging.getLogger("mtl_cli")
FIRST, STEPS = 5, 20
"""Number of first steps that are left out, because much is still being set up, and number of steps recorded."""
ENGINE = "autograd::engine::evaluate_function"
"""What torch calls the part of a trace in which the backward function of one node of a graph runs."""
OPERATORS = 30


class Profiler(Protocol):
    """What the training loop calls."""

    def step_done(self) -> None:
        """Take note of the end of a step."""

    def close(self) -> None:
        """Write what was recorded."""


class NoProfiler:
    """A profiler that records nothing."""

    def step_done(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class StepProfiler:
    """Records steps FIRST … FIRST + STEPS - 1 of this process into `folder`: trace.json.gz and operators.txt.

    Among several processes, `sent` gives the bytes and messages that this one has handed over: exchange.json.
    """

    def __init__(
        self, spans: Spans, folder: Path, cuda: bool, sent: Callable[[], tuple[int, int]] | None = None
    ) -> None:
        self._spans, self._folder, self._cuda, self._sent = spans, folder, cuda, sent
        self._before = (0, 0)
        self._steps = 0
        self._profile: profile | None = None
        self._done = False

    def step_done(self) -> None:
        """Count a step, and start or end the recording where it is time."""
        if self._done:
            return
        if self._profile is not None:
            self._steps += 1
            if self._steps == STEPS:
                self.close()
            return
        self._steps += 1
        if self._steps == FIRST:
            self._steps = 0
            os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler's own markers go to the console
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._cuda else [])]
            self._profile = profile(activities=activities)
            self._mark(True)
            self._before = (0, 0) if self._sent is None else self._sent()
            self._profile.start()

    def close(self) -> None:
        """End the recording, log the table and write the files; failing to write them does not end the run."""
        if self._done:
            return
        self._done = True
        recorded, self._profile = self._profile, None
        if recorded is not None:  # stopped also without a recorded step, for the sake of the next run in this process
            self._mark(False)
            recorded.stop()
        if recorded is None or not self._steps:
            logger.warning("trainer.profile=true: the run ended within its first %d steps; no profile.", FIRST)
            return
        host, device = sums(recorded.events(), [span.name for span in self._spans.all])
        logger.warning(
            "A step's time, mean of %d steps, the profiler's own cost included:\n%s",
            self._steps, time_table(host, device if self._cuda else None, self._steps),
        )  # fmt: skip
        exchanged = self._exchanged()
        try:
            self._write(recorded)
            if exchanged is not None:
                write_json(self._folder / "exchange.json", exchanged)
            logger.warning("Trace and operators are in %s", self._folder)
        except (OSError, RunFailure) as error:
            logger.warning("The trace is not written: %s", error)

    def _exchanged(self) -> dict[str, float] | None:
        """Log and return what this process handed over to others in a step; None where it is alone."""
        if self._sent is None:
            return None
        size, messages = (
            (after - before) / self._steps for after, before in zip(self._sent(), self._before, strict=True)
        )
        logger.warning("Each process hands over %.0f bytes per step to the others, in %.1f messages.", size, messages)
        return {"bytes_per_step": size, "messages_per_step": messages}

    def _write(self, recorded: profile) -> None:
        make_folder(self._folder)
        key = "self_cuda_time_total" if self._cuda else "self_cpu_time_total"
        operators = recorded.key_averages().table(sort_by=key, row_limit=OPERATORS)
        write_text(self._folder / "operators.txt", operators)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=self._folder) as place:
            unpacked = Path(place, "trace.json")
            recorded.export_chrome_trace(str(unpacked))
            trace = unpacked.read_bytes() if unpacked.exists() else b""
        if not trace.rstrip().endswith(b"}"):  # torch does not report a full disk
            raise RunFailure(f"Cannot write {self._folder / 'trace.json.gz'}: there is no room for it.")
        write_bytes(self._folder / "trace.json.gz", gzip.compress(trace))

    def _mark(self, marked: bool) -> None:
        for span in self._spans.all:
            span.marked = marked


class Event(Protocol):
    """One stretch of a trace; times are in microseconds."""

    name: str
    cpu_time_total: float
    device_time_total: float


def sums(events: Sequence[Event], names: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the host's and the device's seconds by span, and those of `backward`, which lies within `balance`."""
    host, device = (dict.fromkeys([*names, "backward"], 0.0) for _ in range(2))
    for event in events:
        name = "backward" if event.name.startswith(ENGINE) else event.name
        if name in host:
            host[name] += event.cpu_time_total / 1e6
            device[name] += event.device_time_total / 1e6
    return host, device


def parts(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of each part of a step, none within another, from those of the spans and of `backward`."""
    return {
        "data": seconds["data"],
        "forward": seconds["forward"],
        "backward": seconds["backward"],
        "weighting": max(0.0, seconds["balance"] - seconds["forward"] - seconds["backward"]),
        "optimizer": seconds["update"],
        "waiting": seconds["wait"],
        "logging": seconds["records"],
        "checkpoints": seconds["checkpoints"],
    }


def time_table(host: Mapping[str, float], device: Mapping[str, float] | None, steps: int) -> str:
    """Return one row per part with its milliseconds per step and its share, for the device too where there is one."""
    columns = {"host": parts(host), **({} if device is None else {"device": parts(device)})}
    rows = [["part", *(word for name in columns for word in (f"{name} ms", "share"))]]
    totals = {name: math.fsum(column.values()) for name, column in columns.items()}
    for part in columns["host"]:
        row = [part]
        for name, column in columns.items():
            row += [f"{1000 * column[part] / steps:.3f}", f"{column[part] / (totals[name] or 1):.1%}"]
        rows.append(row)
    rows.append(["total", *(word for name in columns for word in (f"{1000 * totals[name] / steps:.3f}", ""))])
    return table(rows)
