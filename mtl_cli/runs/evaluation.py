"""Evaluation of a checkpoint on a split."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import sweep, write_json
from mtl_cli.report.tables import evaluation_table
from mtl_cli.runs.build import Built, build
from mtl_cli.runs.data import make_streams
from mtl_cli.runs.outcome import draw_confusions
from mtl_cli.storage import checkpoint
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.evaluate import Result, flat
from mtl_cli.training.group_means import to_show
from mtl_cli.training.job import restore
from mtl_cli.training.selection import evaluate_split

logger = logging.getLogger("mtl_cli")


def evaluate_checkpoint(
    path: Path, overrides: Mapping[str, Any], command: Sequence[str], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """Evaluate a checkpoint on a split, "test" by default; write and return the metrics.

    `overrides` are dotted keys of the run's config, such as data.root, and `split`. Nothing is compiled unless they say
    so: that takes longer than an evaluation, and a compiler.

    Raises:
        UserError: the checkpoint or the data does not fit.
    """
    overrides = dict(overrides)
    split = overrides.pop("split", "test")
    if split not in ("train", "val", "test"):
        raise UserError(f"split is {split!r}; it is train, val or test. Use split=test.")
    file = checkpoint.find(path, "best")
    state = checkpoint.load(file)
    config = override(load_run_config(state["config"]), {"trainer.compile": False, **overrides})
    resolved = checked(config)
    with torch_settings(resolved):
        built = build(resolved, Trust(tuple(overrides.get("trust", ())), tuple(folders)), state["datasets"])
        restore(built.job, state)
        job = built.job
        streams = make_streams(built.data, job.tasks, split, resolved["seed"], job.learner.arithmetic.device)
        results = evaluate_split(job, streams)
    logger.warning("%s", evaluation_table(f"{split}, step {job.progress.step}", to_show(results, job.groups)))
    folder = file.parent.parent if file.parent.name == "checkpoints" else file.parent
    if (folder / "evaluations").is_symlink():
        raise UserError(f"{folder / 'evaluations'} is a symbolic link. Put a real folder in its place.")
    return write_evaluation(folder, file, split, built, results)


def write_evaluation(
    folder: Path, file: Path, split: str, built: Built, results: Mapping[str, Result]
) -> dict[str, Any]:
    """Write the metrics and confusion matrices of an evaluation into a new folder of the run; return the metrics."""
    number = 0
    while (out := folder / "evaluations" / f"{file.stem}_{split}_{number:03d}").exists():
        sweep(out)
        number += 1
    record = {"checkpoint": file.name, "split": split, "metrics": flat(results)}
    try:
        out.mkdir(parents=True)
        write_json(out / "metrics.json", record)
        draw_confusions(out, split, built.job, results)
    except (OSError, RunFailure) as error:
        raise UserError(f"Cannot write the evaluation to {out}: {error}.") from error
    logger.info("Written to %s", out)
    return record
