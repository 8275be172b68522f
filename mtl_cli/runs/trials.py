"""What is tried before a run: everything up to the first step, and how the loss answers to the learning rate."""

import csv
import io
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtl_cli.config.run_config import Config, checked
from mtl_cli.config.targets import Trust
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import make_folder, write_bytes
from mtl_cli.lr_schedules import LRSchedule
from mtl_cli.report.lr_range import draw_lr_range
from mtl_cli.runs.build import Built, build
from mtl_cli.runs.outcome import print_head
from mtl_cli.runs.run import start_weights
from mtl_cli.storage.directory import read_status
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.job import Job
from mtl_cli.training.next_step import next_step
from mtl_cli.training.trainer import train_step

logger = logging.getLogger("mtl_cli")
STEPS = 100
LOWEST, HIGHEST = 1e-7, 10.0
"""Learning rates of the first and the last step of a range test."""
SMOOTHING, WINDOW = 0.9, 20
TOO_HIGH = 4.0
"""A smoothed loss so many times the least one ends the test."""


@contextmanager
def prepared(config: Config, directory: Path, folders: Sequence[Path]) -> Iterator[Built]:
    """Build a run for a block, and print what it would be; nothing is written.

    Raises:
        UserError: every problem found, or `directory` holds a run.
    """
    resolved = checked(config, folders)
    if read_status(directory):
        raise UserError(f"{directory} holds a run already. Give another hydra.run.dir.")
    with torch_settings(resolved):
        built = build(resolved, Trust(tuple(config["trust"]), tuple(folders)), start=start_weights(resolved))
        print_head(built, directory)
        yield built
        built.job.close()


def dry_run(config: Config, directory: Path, folders: Sequence[Path] = ()) -> None:
    """Do everything up to the first step of a run, and say what would run; nothing is written.

    Raises:
        UserError: every problem found.
    """
    with prepared(config, directory, folders) as built:
        logger.warning("%s", first_step(built))


def first_step(built: Built) -> str:
    """Return what the first step would see, whose batches are read for it."""
    job = built.job
    step = next_step(job)
    rows = ", ".join(f"{count} rows of {name}" for name, count in rows_of(step.batches).items())
    evaluations = -(-job.total_steps // (job.plan.eval_every * job.schedule.steps_per_epoch))
    return (
        f"Dry run: the first of {job.total_steps} steps would take {rows}, with labels of {', '.join(step.tasks)}. "
        f"{evaluations} evaluations; the best checkpoint by {job.plan.selection}. Nothing was trained or written."
    )


def rows_of(batches: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Return the rows of a step by dataset."""
    rows: dict[str, int] = {}
    for draw in batches:
        for micro in draw:
            for name, batch in micro.items():
                rows[name] = rows.get(name, 0) + batch.rows
    return rows


class Geometric(LRSchedule):
    """Learning rates that rise by one factor per step, whatever the base rate is."""

    def __init__(self, base: float) -> None:
        super().__init__(0)
        self.base = base

    def decay(self, step: int, num_steps: int) -> float:
        """Return what the base rate is multiplied by."""
        return LOWEST * (HIGHEST / LOWEST) ** (min(step, STEPS - 1) / (STEPS - 1)) / self.base


@dataclass(frozen=True)
class Point:
    """One step of a range test: its learning rate, the weighted sum of losses, the same smoothed, losses by task."""

    lr: float
    loss: float
    smoothed: float
    losses: Mapping[str, float]


def lr_range_test(config: Config, directory: Path, folders: Sequence[Path] = ()) -> dict[str, float]:
    """Raise the learning rate from step to step, draw how the loss answers, and return which rates stand out.

    Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3; the rate rises by one factor
    per step, as the loss is smoothed and the test ended in fastai. "steepest" is where the loss falls fastest.

    Raises:
        UserError: the config or data is wrong, or `directory` holds a run.
        RunFailure: the loss is not finite at the lowest rates, or a file cannot be written.
    """
    with prepared(config, directory, folders) as built:
        points = ranged(built.job)
    found = standing_out(points)
    make_folder(directory)
    write_points(directory / "lr_range_test.csv", points)
    line = ([point.lr for point in points], [point.smoothed for point in points])
    draw_lr_range(directory / "lr_range_test.png", line, found["steepest"])
    logger.warning(
        "The loss falls fastest at a learning rate of %.2g and is least at %.2g. Try optimizer.lr=%.2g. Picture: %s",
        found["steepest"], found["least"], found["steepest"], directory / "lr_range_test.png",
    )  # fmt: skip
    return found


def ranged(job: Job) -> list[Point]:
    """Return the steps of a range test, up to where the loss explodes."""
    group = job.optimizer.param_groups[0]
    job.lr_schedule = Geometric(group["base_lr"])
    job.plan = replace(job.plan, max_steps=STEPS, on_nonfinite="stop")
    job.learner.model.train()
    points: list[Point] = []
    smoothed = 0.0
    for number in range(1, STEPS + 1):
        step = next_step(job)
        update = train_step(job, step)
        job.progress.step += 1
        losses = {name: float(value) for name, value in step.losses.items()}
        loss = sum(value * job.learner.tasks[name].weight for name, value in losses.items())
        if not math.isfinite(loss):
            break
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
        points.append(Point(update.lr, loss, smoothed / (1 - SMOOTHING**number), losses))
        least = min(point.smoothed for point in points)
        if number > STEPS // 10 and points[-1].smoothed > TOO_HIGH * max(least, 0.0) + 1e-12:
            break
    if len(points) < 10:
        raise RunFailure(f"The loss is not finite after {len(points)} steps at learning rates near {LOWEST:g}.")
    return points


def standing_out(points: Sequence[Point]) -> dict[str, float]:
    """Return the learning rates of the least smoothed loss and of its steepest fall before that.

    The fall is that over `WINDOW` steps, more than the batches differ by chance, and its rate that of the middle.
    """
    least = min(range(len(points)), key=lambda k: points[k].smoothed)
    starts = range(max(1, least - WINDOW + 1))
    falls = [points[k].smoothed - points[min(k + WINDOW, least)].smoothed for k in starts]
    first = max(starts, key=falls.__getitem__)
    steepest = (first + min(first + WINDOW, least)) // 2
    return {"steepest": points[steepest].lr, "least": points[least].lr}


def write_points(path: Path, points: Sequence[Point]) -> None:
    """Write the steps as CSV."""
    tasks = list(dict.fromkeys(name for point in points for name in point.losses))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lr", "loss", "smoothed", *tasks])
    writer.writerows([p.lr, p.loss, p.smoothed, *(p.losses.get(name, "") for name in tasks)] for p in points)
    write_bytes(path, text.getvalue().encode())
