"""Predictions and evaluations of what was trained."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtl_cli.api.typed import Overrides, folder_of, modules_of, values_of
from mtl_cli.commands.console import console
from mtl_cli.inference import loading
from mtl_cli.inference.base import Predictor


def load(
    path: str | os.PathLike[str],
    *,
    tasks: str | Sequence[str] | None = None,
    overrides: Overrides = (),
    config_dir: str | Path | None = None,
) -> Predictor:
    """Return a predictor: the best checkpoint of a run directory, a checkpoint file, or a bundle of mtl-export.

    Args:
        path: the run directory, the file or the bundle.
        tasks: which tasks; by default all that can read the input.
        overrides: keys of the run's config, such as {"trainer.device": "cpu"}.
        config_dir: folder of your own modules that the config of the run names and that you trust.

    Raises:
        UserError: there is nothing at `path`, or it cannot be used.
    """
    with modules_of(folder_of(config_dir)) as folders:
        return loading.load(os.fspath(path), tasks=tasks, overrides=values_of(overrides), folders=folders)


def evaluate(
    path: str | os.PathLike[str],
    *,
    split: str | None = None,
    input: str | Path | None = None,
    overrides: Overrides = (),
    config_dir: str | Path | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Return what mtl-eval finds and writes.

    These are `metrics` of each task with their `intervals`, the `data` that they are of, of by=[COLUMN] also `groups`
    and `gaps`, and of calibrate=true the `calibration`.

    Args:
        path: a run directory (its best checkpoint) or a checkpoint file.
        split: train, val or test; test by default.
        input: a file with labels, in place of a split.
        overrides, config_dir: as in `load`.
        quiet: whether no table is printed.

    Raises:
        UserError: the checkpoint or the data does not fit.
    """
    values = values_of(overrides) | ({} if split is None else {"split": split})
    with modules_of(folder_of(config_dir)) as folders, console(quiet=quiet):
        from mtl_cli.runs.evaluation import evaluate_checkpoint

        run, source = Path(path).expanduser(), None if input is None else Path(input).expanduser()
        return evaluate_checkpoint(run, values, ["mtl_cli.evaluate"], folders, source, told=not quiet)
