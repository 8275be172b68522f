"""Calibrations in a checkpoint: written beside its weights, and taken up by whoever predicts with them."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.runs.calibration.checking import check_table, checked
from mtl_cli.runs.calibration.fitting import calibrate
from mtl_cli.runs.calibration.listening import listen
from mtl_cli.runs.calibration.wish import Wish
from mtl_cli.storage import checkpoint
from mtl_cli.storage.directory import opening
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.calibration_base import Calibration
from mtl_cli.training.job import Job
from mtl_cli.training.loading import Stream

KEY = "calibration"
"""Where a checkpoint holds it."""


@dataclass(frozen=True)
class Calibrated:
    """What was fitted by task, and what each is worth on rows that it was not fitted on."""

    found: Mapping[str, Calibration]
    checks: Mapping[str, Mapping[str, float]]
    title: str

    @property
    def table(self) -> str:
        """The checks as a table."""
        return check_table(self.checks, self.found, f"calibrated, {self.title}")

    def record(self) -> dict[str, Any]:
        """Return plain data for a file."""
        return {
            "fitted_on": "val",
            "checked_on": self.title,
            "tasks": {name: each.state() for name, each in self.found.items()},
            "checks": {name: dict(check) for name, check in self.checks.items()},
        }


def calibrate_job(job: Job, streams: Mapping[str, Stream], title: str, wish: Wish) -> Calibrated:
    """Return what is fitted on the validation rows of a job, checked on the rows of `streams`.

    Raises:
        UserError: the wish does not fit the tasks.
    """
    learner = job.learner
    arithmetic = learner.arithmetic.evaluation
    with contextlib.nullcontext() if job.ema is None else job.ema.applied():
        fitted_on = listen(learner.model, job.tasks, job.val, arithmetic)
        told = listen(learner.model, job.tasks, streams, arithmetic)
    found = calibrate(job.tasks, fitted_on, wish)
    return Calibrated(found, {name: checked(job.tasks[name], told[name], found[name]) for name in told}, title)


def store(file: Path, found: Mapping[str, Calibration]) -> None:
    """Write calibrations into a checkpoint, in the place of those that it has.

    Raises:
        UserError: a run works in the directory, or it cannot be written.
        RunFailure: the disk is full.
    """
    in_run = file.absolute().parent.name == "checkpoints"
    lock = contextlib.ExitStack()
    with lock:
        if in_run:
            held = lock.enter_context(opening(file.absolute().parent.parent))
            lock.callback(held.release)
        checkpoint.write(file, with_calibrations(checkpoint.load(file), found))


def with_calibrations(state: Mapping[str, Any], found: Mapping[str, Calibration]) -> dict[str, Any]:
    """Return a checkpoint's state with calibrations of some tasks in the place of those that it has."""
    old = state.get(KEY)
    kept = dict(old) if isinstance(old, Mapping) else {}
    return {**state, KEY: {**kept, **{name: each.state() for name, each in found.items()}}}


def take_up(state: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[str]:
    """Give tasks the calibrations of a checkpoint; return the names of those that have one.

    Raises:
        UserError: a calibration is not one of its task.
    """
    stored = state.get(KEY, {})
    names = []
    for name in tasks if isinstance(stored, Mapping) else ():
        if name not in stored:
            continue
        try:
            found = Calibration.of(stored[name])
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"The checkpoint's calibration of '{name}' cannot be used: {str(error)[:200]}.") from error
        if problem := found.problem(tasks[name]):
            raise UserError(f"The checkpoint does not fit its tasks: {problem}.")
        tasks[name].calibration = found
        names.append(name)
    return names


def described(tasks: Mapping[str, Task]) -> str:
    """Return which tasks predict by what was fitted on validation rows, in words; "" where none does."""
    found = []
    for name, task in tasks.items():
        if task.calibration is None:
            continue
        each = task.calibration
        has_temperature = task.calibrates in ("classes", "labels")
        words = [f"temperature {each.temperature:g}"] if has_temperature else []
        words += ["survival curves"] if each.times else []
        words += ["thresholds"] if each.decision is not None or each.thresholds is not None else []
        words += [f"sets of {100 * each.coverage:g} %"] if each.lowest is not None and each.coverage else []
        words += [f"intervals of {100 * each.coverage:g} %"] if each.margins is not None and each.coverage else []
        found.append(f"{name} ({', '.join(words)})" if words else name)
    return ", ".join(found)
