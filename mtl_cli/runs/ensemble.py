"""Predictions of several checkpoints together: their mean, and how far they are apart."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError, some
from mtl_cli.report.tables import duration
from mtl_cli.runs.data_files import warn_of_training_rows
from mtl_cli.runs.predict import check_names, progress, readings_of, taken
from mtl_cli.runs.predictor import TrainedModel, build_predictor
from mtl_cli.storage import checkpoint
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.class_base import class_labels
from mtl_cli.tasks.ordinal import Ordinal
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.training.arithmetic import torch_settings

logger = logging.getLogger("mtl_cli")
Array = np.ndarray[Any, Any]
SPREAD, AGREEMENT = "_spread", "_agreement"


@dataclass(frozen=True)
class Member:
    """One checkpoint with what reads the input for it."""

    path: Path
    predictor: TrainedModel
    readings: dict[str, Reading]

    def batches(self, size: int) -> Iterator[tuple[NewRows, Columns]]:
        """Yield rows with the columns of every task."""
        for rows, predictions in self.predictor.run(self.readings, size):
            yield rows, predictions.columns


def predict_together(
    paths: Sequence[Path], source: Path, target: Path, overrides: Mapping[str, Any], folders: Sequence[Path] = ()
) -> int:
    """Write the rows of `source` with what several checkpoints say of them together; return how many there are.

    Raises:
        UserError: a checkpoint or the inputs do not fit, or the checkpoints have other tasks or classes.
        RunFailure: the disk is full.
    """
    overrides = dict(overrides)
    size, names, skip = taken(overrides)
    states = [checkpoint.load(checkpoint.find(path, "best")) for path in paths]
    configs = [checked(override(load_run_config(state["config"]), overrides)) for state in states]
    start = time.monotonic()
    trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
    with torch_settings(configs[0]):
        members = []
        for path, state, config in zip(paths, states, configs, strict=True):
            predictor = build_predictor(config, trust, state, names, source)
            members.append(Member(path, predictor, readings_of(predictor, source, skip)))
        warn_of_training_rows(members[0].predictor.sources, states[0]["datasets"], source)
        check_alike(members)
        rows = write(members, target, size, bool(configs[0]["quiet"]))
    logger.info(
        "%d rows with means and spreads of %d checkpoints in %s, %s",
        rows, len(members), target, duration(time.monotonic() - start),
    )  # fmt: skip
    return rows


def check_alike(members: Sequence[Member]) -> None:
    """Refuse checkpoints whose columns differ, and tasks that write files.

    Raises:
        UserError: they do.
    """
    first = members[0]
    columns = list(first.predictor.no_columns())
    if files := [name for name, task in first.predictor.tasks.items() if task.writes_files]:
        raise UserError(f"{some(files)} write files, which have no mean over checkpoints. Name other tasks: tasks=[…].")
    for other in members[1:]:
        if apart := set(columns) ^ set(other.predictor.no_columns()):
            raise UserError(
                f"{first.path} and {other.path} have other tasks or classes: only one of them gives "
                f"{some(sorted(apart), 6)}. Name tasks that they share: tasks=[…]."
            )


def write(members: Sequence[Member], target: Path, size: int, quiet: bool) -> int:
    """Write what the members say together of all rows; return their number."""
    main = next(iter(members[0].readings.values()))
    tasks = members[0].predictor.tasks
    columns = list(together(tasks, [members[0].predictor.no_columns()] * len(members)))
    check_names(columns, main)
    most = [each.max_rows for member in members for each in member.readings.values() if each.max_rows is not None]
    count = 0
    with ExitStack() as stack:
        writer = stack.enter_context(main.writer(target, columns))
        bar = stack.enter_context(progress(main, quiet))
        for batches in zip(*(member.batches(min([size, *most])) for member in members), strict=True):
            found = together(tasks, [each for _, each in batches])
            writer.write(batches[0][0], found)
            rows = len(next(iter(found.values())))
            bar.update(rows)
            count += rows
    return count


def together(tasks: Mapping[str, Task], said: Sequence[Columns]) -> Columns:
    """Return the columns of several checkpoints as one: of numbers mean and spread, of others what most of them say.

    Without a calibration, classes and labels are those of the mean probabilities.
    """
    found: Columns = {}
    for name in said[0]:
        columns = [each[name] for each in said]
        if all(np.issubdtype(each.dtype, np.floating) for each in columns):
            values = np.stack([each.astype(np.float64) for each in columns])
            found[name] = values.mean(axis=0).astype(columns[0].dtype)
            found[name + SPREAD] = values.std(axis=0, ddof=1).astype(columns[0].dtype)
        else:
            found[name], found[name + AGREEMENT] = voted(columns)
    for task in tasks.values():
        for name, values in decided(task, found).items():
            found[name] = values
            found[name + AGREEMENT] = np.mean([each[name] == values for each in said], axis=0).reshape(-1)
    return found


def voted(columns: Sequence[Array]) -> tuple[Array, Array]:
    """Return what most say of each row, the first of them where there are several, and the share that says it."""
    table = np.stack(columns, axis=1)  # [rows, checkpoints]
    counts = (table[:, :, None] == table[:, None, :]).sum(axis=2)
    places = counts.argmax(axis=1)
    rows = np.arange(len(table))
    return table[rows, places], counts[rows, places] / len(columns)


def decided(task: Task, found: Columns) -> Columns:
    """Return the decisions of a task by its mean probabilities; none where it is calibrated or has no classes."""
    labels = class_labels(task.field, task.field.num_classes)
    places = [name for label in labels if (name := f"{task.name}_probability_{label}") in found]
    if task.calibration is not None or task.calibrates not in ("classes", "labels") or not places:
        return {}
    means = np.stack([found[name] for name in places], axis=1)
    if task.calibrates == "labels":
        return {
            f"{task.name}_prediction_{label}": (means[:, k] > 0.5).astype(np.int64) for k, label in enumerate(labels)
        }
    if len(places) == 1:  # that of the second of two classes
        means = np.concatenate([1.0 - means, means], axis=1)
    chosen = means.argmax(axis=1)
    if isinstance(task, Ordinal):
        chosen = (np.cumsum(means, axis=1)[:, :-1] < 0.5).sum(axis=1)
    names = np.asarray(task.field.class_names, dtype=object) if task.field.class_names else np.arange(len(labels))
    return {f"{task.name}_prediction": names[chosen]}
