"""Predictions and evaluations of what was trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtl_cli.api.typed import Overrides, folder_of, modules_of, values_of
from mtl_cli.commands.console import console
from mtl_cli.inference import loading
from mtl_cli.inference.base import Predictor


def load(
    path: str | Path,
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
        return loading.load(path, tasks=tasks, overrides=values_of(overrides), folders=folders)


def evaluate(
    path: str | Path,
    *,
    split: str | None = None,
    input: str | Path | None = None,
    overrides: Overrides = (),
    config_dir: str | Path | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Return what mtl-eval finds and writes: `metrics` of each task, and the rows that they are of.

    Args:
        path: a run directory (its best checkpoint) or a checkpoint file.
        split: train, val or test; test by default.
        input: a file with labels, in place of a split.
        overrides, config_dir: as in `load`.
        quiet: whether the table is not printed.

    Raises:
        UserError: the checkpoint or the data does not fit.
    """
    values = values_of(overrides) | ({} if split is None else {"split": split})
    with modules_of(folder_of(config_dir)) as folders, console(quiet=quiet):
        from mtl_cli.runs.evaluation import evaluate_checkpoint

        source = None if input is None else Path(input).expanduser()
        return evaluate_checkpoint(Path(path).expanduser(), values, ["mtl_cli.evaluate"], folders, source)
