"""One trial at work: the runs of one point, and what becomes of them."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.search.ledger import Taken
from mtl_cli.commands.sweeps.job import SweepJob, attempt
from mtl_cli.files import read_json

logger = logging.getLogger("mtl_cli")
EPOCHS = 100_000
"""Places of a trial that each of its runs has; the epoch is the place in it."""


@dataclass(frozen=True)
class Reporter:
    """A judge of one run: tells the ledger each score, at places that begin at `first`."""

    taken: Taken
    first: int

    def __call__(self, epoch: int, score: float) -> str | None:
        """Return why the run should stop, or None."""
        return None if math.isnan(score) else self.taken.hopeless(self.first + epoch, score)


@dataclass(frozen=True)
class Trial:
    """The runs of a trial, one for each fold where there are folds."""

    values: Mapping[str, str]
    jobs: tuple[SweepJob, ...]

    def work(self, taken: Taken, line: CommandLine) -> None:
        """Run what is not done yet, and tell how it ended.

        Raises:
            Interrupted, KeyboardInterrupt: the process was asked to stop; the same command continues the trial.
        """
        for place, job in enumerate(self.jobs):
            if job.completed:
                continue
            if failure := attempt(job, line.command, line.folders, Reporter(taken, place * EPOCHS)):
                fail(taken, self.values, failure)
                return
            status = read_json(job.directory / "status.json")
            if status.get("status") == "pruned":
                taken.pruned(str(status.get("reason") or ""))
                return
        if math.isnan(score := self.score):
            fail(taken, self.values, "its selection score is not a number")
        else:
            taken.complete(score)

    @property
    def score(self) -> float:
        """The mean of the runs' selection scores, higher is better; NaN where one has none."""
        rows = [job.row() for job in self.jobs]
        return sum(-row.score if row.lower_is_better else row.score for row in rows) / len(rows)


def fail(taken: Taken, values: Mapping[str, str], reason: str) -> None:
    """Note that a trial has no score, and say so."""
    taken.failed(reason)
    logger.warning("Trial %d, %s, failed: %s", taken.number, title(values), reason)


def title(values: Mapping[str, str]) -> str:
    """Return the values that set a trial apart."""
    return " ".join(f"{key.lstrip('+')}={value}" for key, value in values.items())
