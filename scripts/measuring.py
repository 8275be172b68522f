"""How the benchmarks measure: jobs of composed configs, steps as mtl-train takes them, windows in turn, table rows."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config.interpolation import resolve
from mtl_cli.config.targets import Trust
from mtl_cli.report.progress import Progressbar
from mtl_cli.runs.build import build
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.training.job import Job
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import log, train_step

Row = dict[str, str]
Steps = Callable[[int], None]
"""Takes a number of optimizer steps."""
ENDLESS = "trainer.max_steps=100000000"


def row(what: str, figure: str, spread: str, goal: str, detail: str) -> Row:
    """Return a row of the table."""
    return {"what": what, "figure": figure, "quartiles": spread, "goal": goal, "detail": detail}


def compose(overrides: Sequence[str], conf: Path | None = None) -> dict[str, Any]:
    """Return the default config with overrides, quiet."""
    with hydra_session(conf) as session:
        return plain_config(session.compose([*overrides, "quiet=true"]))


def make_job(overrides: Sequence[str]) -> tuple[Job, dict[str, Any]]:
    """Return a job of the default config with overrides, and its config."""
    config = compose(overrides)
    return job_of(config), config


def job_of(config: dict[str, Any]) -> Job:
    """Return the job of a config."""
    return build(resolve(config), Trust()).job


def our_steps(job: Job, out: RunDirectory) -> Steps:
    """Return a function that takes a job's steps as mtl-train does, with records and a progress bar."""
    bar, spans = Progressbar(10**8, 0, 0, quiet=True), job.learner.spans

    def run(number: int) -> None:
        job.learner.model.train()
        for _ in range(number):
            with spans.data:
                step = next_step(job)
            update = train_step(job, step)
            job.progress.step += 1
            with spans.records:
                bar.advance(job.progress.samples)
            if step.logging:
                bar.show(log(job, out, step, update))

    return run


def plain_steps(job: Job) -> Steps:
    """Return a function that takes a job's steps without records."""

    def run(number: int) -> None:
        job.learner.model.train()
        for _ in range(number):
            train_step(job, next_step(job))
            job.progress.step += 1

    return run


def timed(run: Steps, steps: int, device: torch.device) -> float:
    """Return the seconds that a number of steps takes: of this process on a CPU, where others may be at work."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
    run(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def interleaved(
    first: Steps, second: Steps, windows: int, steps: int, device: torch.device
) -> list[tuple[float, float]]:
    """Return the seconds of both in every window, run in turn, after one window that is not counted."""
    timed(first, steps, device), timed(second, steps, device)
    pairs = []
    for window in range(windows):
        if window % 2:
            a = timed(first, steps, device)
            pairs.append((a, timed(second, steps, device)))
        else:
            b = timed(second, steps, device)
            pairs.append((timed(first, steps, device), b))
    return pairs


def summary(values: Sequence[float]) -> tuple[str, str]:
    """Return the median and the quartiles, as text."""
    quartiles = statistics.quantiles(values, n=4)
    return f"{statistics.median(values):.3f}", f"{quartiles[0]:.3f} to {quartiles[2]:.3f}"


def ratio_row(what: str, pairs: Sequence[tuple[float, float]], goal: str, steps: int, note: str = "") -> Row:
    """Return a row of the second's seconds over the first's: how many times as fast the first is."""
    figure, spread = summary([second / first for first, second in pairs])
    a, b = (1000 * statistics.median(values) / steps for values in zip(*pairs, strict=True))
    return row(what, figure, spread, goal, f"{a:.2f} / {b:.2f} ms per step{note and f', {note}'}")


def cpu_seconds_of(command: Sequence[str], folder: Path, times: int = 3) -> float:
    """Return the median CPU seconds of a command."""
    taken = []
    for _ in range(times):
        before = os.times()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        after = os.times()
        taken.append(sum(after[2:4]) - sum(before[2:4]))  # of children
    return statistics.median(taken)


def seconds_of(command: Sequence[str], folder: Path, times: int = 3) -> float:
    """Return the median wall seconds of a command."""
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)
