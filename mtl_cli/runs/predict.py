"""Predictions of a trained model for new inputs: a table, or a folder with a table and files."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.datasets.reading_base import Reading
from mtl_cli.errors import UserError, some
from mtl_cli.report.progress import Bar
from mtl_cli.report.tables import duration
from mtl_cli.runs.calibration.storing import described
from mtl_cli.runs.data_files import warn_of_training_rows
from mtl_cli.runs.prediction_folder import PredictionFolder
from mtl_cli.runs.predictor import TrainedModel, build_predictor
from mtl_cli.storage import checkpoint
from mtl_cli.tasks.predictions_base import stem_of
from mtl_cli.training.arithmetic import torch_settings

logger = logging.getLogger("mtl_cli")
SKIP = "skip_bad"


def predict(path: Path, source: Path, target: Path, overrides: Mapping[str, Any], folders: Sequence[Path] = ()) -> int:
    """Write the rows of `source` with the predictions of a checkpoint to `target`; return how many there are.

    Of labelled words they are the words. Where a task makes files, such as label images, `target` is a new folder,
    which holds them and a table of what the other tasks say. New images may be predicted into a folder in any case.

    `overrides` are dotted keys of the run's config, such as trainer.device, and `batch_size`, `tasks` and `skip_bad`.

    Raises:
        UserError: the checkpoint or the inputs do not fit; nothing is written.
        RunFailure: the disk is full.
    """
    overrides = dict(overrides)
    size, names, skip = taken(overrides)
    state = checkpoint.load(checkpoint.find(path, "best"))
    config = checked(override(load_run_config(state["config"]), overrides))
    start = time.monotonic()
    with torch_settings(config):
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        predictor = build_predictor(config, trust, state, names, source)
        warn_of_training_rows(predictor.sources, state["datasets"], source)
        readings = readings_of(predictor, source, skip)
        if calibrated := described(predictor.tasks):
            logger.info("By what was fitted on validation rows: %s.", calibrated)
        rows = write(predictor, readings, target, size, bool(config["quiet"]))
    says = some(predictor.no_columns()) or "files"
    logger.info("%d rows with %s in %s, %s", rows, says, target, duration(time.monotonic() - start))
    return rows


def taken(overrides: dict[str, Any]) -> tuple[int, Any, bool]:
    """Take the words of mtl-predict out of the overrides: batch_size, tasks, and whether bad inputs are left out.

    Raises:
        UserError: batch_size is not a number of rows, or skip_bad is not true or false.
    """
    size, names, skip = overrides.pop("batch_size", 4096), overrides.pop("tasks", None), overrides.pop(SKIP, False)
    if not isinstance(skip, bool):
        raise UserError(f"{SKIP} is {skip!r}; it is true or false. Use {SKIP}=true.")
    if type(size) is not int or size < 1:
        raise UserError(f"batch_size is {size!r}; it is a whole number ≥ 1. Use batch_size=4096.")
    return size, names, skip


def readings_of(predictor: TrainedModel, source: Path, skip: bool) -> dict[str, Reading]:
    """Return what reads the inputs for each dataset; with `skip`, without those that cannot be read."""
    readings = {name: each.reading(source) for name, each in predictor.sources.items()}
    for reading in readings.values() if skip else ():
        reading.leave_out_bad()
    return readings


def write(predictor: TrainedModel, readings: Mapping[str, Reading], target: Path, size: int, quiet: bool) -> int:
    """Write what every task says of all rows; return their number.

    Raises:
        UserError: the inputs do not fit the checkpoint, or nothing can be written to `target`.
    """
    main = next(iter(readings.values()))
    columns = list(predictor.no_columns())
    check_names(columns, main)
    count = 0
    with ExitStack() as stack:
        folder = None
        makes_files = any(task.writes_files for task in predictor.tasks.values())
        if makes_files:
            check_stems(main)
        if makes_files or (main.into_folder and not target.suffix):
            folder = stack.enter_context(PredictionFolder(target))
            target = folder.table(main.suffix)
        writer = stack.enter_context(main.writer(target, columns)) if columns or folder is None else None
        bar = stack.enter_context(progress(main, quiet))
        for rows, predictions in predictor.run(readings, size):
            if writer is not None:
                writer.write(rows, predictions.columns)
            if folder is not None:
                folder.write({**predictions.files, **predictions.notes})
                folder.write_boxes(predictions.names, predictions.frames, predictions.boxes)
            bar.update(len(predictions.names))
            count += len(predictions.names)
    return count


def check_names(added: Sequence[str], reading: Reading) -> None:
    """Refuse an input that has a column of the name of a prediction.

    Raises:
        UserError: every such column.
    """
    if twice := [name for name in added if name in reading.columns]:
        raise UserError(
            f"{reading.path} has the column{'s' * (len(twice) > 1)} {', '.join(twice)} already, as mtl-predict would "
            "name its own. Rename them in the file, or leave the task out: tasks=[…]."
        )


def check_stems(reading: Reading) -> None:
    """Refuse images that differ in the ending alone, for their files of predictions would be one.

    Raises:
        UserError: there are two.
    """
    found: dict[str, str] = {}
    for name in reading.names:
        other = found.setdefault(stem_of(name), name)
        if other != name:
            raise UserError(
                f"{reading.path}: {other} and {name} differ in their ending alone, so that their predictions would be "
                "files of one name. Rename one."
            )


def progress(reading: Reading, quiet: bool) -> Bar:
    """Return a bar of rows, on a terminal."""
    bar = Bar(unit=reading.unit, unit_scale=True, dynamic_ncols=True, leave=False, disable=quiet or None)
    if not bar.disable:
        bar.total = reading.num_rows
    return bar
