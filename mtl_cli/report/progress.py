"""Shows how far a run is: by a bar on a terminal, by a line now and then in a log file."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm

from mtl_cli.report.tables import duration

logger = logging.getLogger("mtl_cli")

LOG_FILE_SECONDS = 15.0
"""Seconds between progress lines where the output is not a terminal."""


MAX_SHOWN = 8
"""Tasks up to which each one's loss is shown."""


def shown(losses: Mapping[str, float]) -> str:
    """Return losses in words: of many tasks their mean, the highest and the lowest."""
    if len(losses) <= MAX_SHOWN:
        return "  ".join(f"{task} {loss:.4f}" for task, loss in losses.items())
    high, low = max(losses, key=losses.__getitem__), min(losses, key=losses.__getitem__)
    mean = sum(losses.values()) / len(losses)
    return f"mean of {len(losses)} {mean:.4f}  highest {high} {losses[high]:.4f}  lowest {low} {losses[low]:.4f}"


class Bar(tqdm):
    """A bar that leaves no thread behind, as those of tqdm do to redraw themselves."""

    monitor_interval = 0


def screen() -> TextIO | None:
    """Return where a bar is drawn: on a terminal's standard error, or in a notebook, among the log; None elsewhere."""
    if type(sys.stdout).__module__.startswith("ipykernel."):
        return sys.stdout
    return sys.stderr if sys.stderr.isatty() else None


class Progressbar:
    """Shows the steps done, the time that is left, the losses and the samples/s."""

    def __init__(self, total: int, done: int, samples: int, quiet: bool) -> None:
        self.total, self.done, self.first, self.samples, self.first_samples = total, done, done, samples, samples
        self.start = self.last_line = time.monotonic()
        self.losses = ""
        file = screen()
        self.lines = file is None and not quiet
        self.bar = Bar(
            total=total, initial=done, unit="step", dynamic_ncols=True, disable=quiet or file is None, leave=False,
            file=file,
        )  # fmt: skip

    def advance(self, samples: int) -> None:
        """Count one step; `samples` is the run's total."""
        self.done += 1
        self.samples = samples
        self.bar.update()
        if self.lines and time.monotonic() - self.last_line > LOG_FILE_SECONDS:
            self.last_line = time.monotonic()
            left = (self.last_line - self.start) / (self.done - self.first) * (self.total - self.done)
            logger.info("step %d/%d  %s  %s  %s left", self.done, self.total, self.losses, self.rate(), duration(left))

    def back(self, step: int, samples: int) -> None:
        """Go back to an earlier step."""
        self.done = self.first = self.bar.n = step
        self.samples = self.first_samples = samples
        self.start = time.monotonic()
        self.bar.refresh()

    def show(self, losses: Mapping[str, float]) -> None:
        """Show the mean losses since the last log."""
        self.losses = shown(losses)
        self.bar.set_postfix_str(f"{self.losses}  {self.rate()}", refresh=False)

    def rate(self) -> str:
        """Return the samples/s of this process."""
        seconds = time.monotonic() - self.start
        return f"{(self.samples - self.first_samples) / max(seconds, 1e-9):.0f} samples/s"

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()
