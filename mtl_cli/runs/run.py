"""One run from a config to its summary: train and resume."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.backends.cudnn

from mtl_cli.config.run_config import Config, check_written, checked, config_hash, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.report import tensorboard
from mtl_cli.runs.build import build
from mtl_cli.runs.components import bind_all
from mtl_cli.runs.data_files import refuse_changes
from mtl_cli.runs.environment import environment
from mtl_cli.runs.execution import execute, resume_command
from mtl_cli.runs.private import longer_problems
from mtl_cli.runs.splitting import norm_problems, split_problems
from mtl_cli.runs.stem_names import renamed
from mtl_cli.runs.together import Briefing, device_problems, devices_started, ranks_here, tell, together, with_devices
from mtl_cli.storage import checkpoint
from mtl_cli.storage.checkpoint import run_directory_of
from mtl_cli.storage.directory import RunDirectory, read_status
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.job import Judge, restore

logger = logging.getLogger("mtl_cli")
TRIALS = ("dry_run", "lr_range_test")
"""Knobs that ask for something in the place of a run (`mtl_cli.runs.trials`)."""


def check(config: Config, folders: Sequence[Path] = ()) -> None:
    """Check a composed config as far as that goes without reading data.

    Raises:
        UserError: every problem found.
    """
    bind_all(checked(config, folders), Trust(tuple(config["trust"]), tuple(folders)))


def check_with_data(config: Config, folders: Sequence[Path] = ()) -> None:
    """Check a composed config by building all that a run of it needs; data that was read stays open for the run.

    Raises:
        UserError: every problem found.
    """
    resolved = checked(config, folders)
    with torch_settings(resolved):
        build(resolved, Trust(tuple(config["trust"]), tuple(folders)), start=start_weights(resolved))


def train(
    config: Config,
    directory: Path,
    command: Sequence[str],
    folders: Sequence[Path] = (),
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Train from the start in a new `directory`, made once everything is known to fit; return the summary.

    `folders` hold the user's own modules, which a config composed on this machine may name. A run with a `judge` is a
    candidate among others.

    Raises:
        UserError: the config or data is wrong, or `directory` holds a run already; nothing was made.
        RunFailure: training cannot go on.
        Pruned: the judge stopped the run; everything is saved.
        Interrupted: a signal asked to stop; everything is saved.
    """
    config = with_devices(config)
    resolved = checked(config, folders)
    refuse([*device_problems(resolved), *logger_problems(resolved)])
    if tries := [key for key in TRIALS if resolved[key]]:
        raise UserError(
            f"{tries[0]}=true is for a single new run, not for a sweep or resume=auto. Leave out one of them."
        )
    if read_status(directory):
        raise UserError(
            f"{directory} holds a run already. Give another hydra.run.dir, or continue it with resume={directory}."
        )
    trust = Trust(tuple(config["trust"]), tuple(folders))
    with torch_settings(resolved, ranks_here(resolved)), together(resolved) as ranks:
        start = start_weights(resolved)
        tell(ranks, Briefing.of(resolved, directory, trust, judge is not None, start=start))
        built = build(resolved, trust, start=start, ranks=ranks)
        built.job.judge = judge
        out = RunDirectory.create(directory, config, config_hash(config))
        mirror_records(out, resolved, 0)
        surroundings = environment(command, resolved, built.job.learner.arithmetic)
        return execute(built, out, resolved, resume_command(directory, resolved, command), surroundings)


def resume(
    directory: Path,
    overrides: Mapping[str, Any],
    command: Sequence[str],
    folders: Sequence[Path] = (),
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Continue the run in `directory` from its newest good checkpoint, or from that one of its files.

    `overrides` are dotted keys; the config is the run's own. Returns the summary.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it belongs to another config.
        RunFailure: training cannot go on.
        Pruned: the judge stopped the run; everything is saved.
        Interrupted: a signal asked to stop; everything is saved.
    """
    if directory.is_file():
        newest = checkpoint.Newest(directory, checkpoint.load(directory), [])
        return continue_from(newest, run_directory_of(directory), overrides, command, folders, judge)
    newest = checkpoint.newest_good(checkpoint.folder_of(directory))
    return continue_from(newest, newest.file.parent.parent, overrides, command, folders, judge)


def continue_from(
    newest: checkpoint.Newest,
    directory: Path,
    overrides: Mapping[str, Any],
    command: Sequence[str],
    folders: Sequence[Path],
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Continue the run in `directory` from one of its checkpoints; see `resume`."""
    for problem in newest.problems:
        logger.warning("%s Continuing from %s.", problem, newest.file.name)
    state = newest.state
    config = load_run_config(state["config"])
    check_written(directory / "config.yaml", config)
    resolved = checked(with_devices(override(config, {**devices_started(), **overrides})))
    problems = [*split_problems(config, resolved), *longer_problems(config, resolved)]
    refuse([*device_problems(resolved), *problems, *logger_problems(resolved)])
    trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
    with torch_settings(resolved, ranks_here(resolved)), together(resolved) as ranks:
        tell(ranks, Briefing.of(resolved, directory, trust, judge is not None, state=state))
        built = build(resolved, trust, state["datasets"], compare=refuse_changes, ranks=ranks)
        refuse(norm_problems(built.job.learner.model, config, resolved))
        restore(built.job, state)
        built.job.judge = judge
        out = RunDirectory.reopen(directory, config, state["config_hash"], state["metrics_length"])
        progress = built.job.progress
        if not newest.problems:  # no checkpoint was passed over: later ones are there only where the user chose a file
            out.go_back(progress.step)
        out.take_up(progress.step, progress.best_step, progress.best_score)
        mirror_records(out, resolved, progress.step)
        logger.info("Resuming %s after step %d.", directory, progress.step)
        return execute(built, out, resolved, resume_command(directory, resolved, command))


def refuse(problems: Sequence[str]) -> None:
    """Refuse a run that has problems.

    Raises:
        UserError: there are some.
    """
    if problems:
        raise UserError(problems)


def logger_problems(config: Config) -> list[str]:
    """Return that the package which `logger` needs is missing, if it is."""
    try:
        if config.get("logger") == "tensorboard":
            tensorboard.require()
    except UserError as error:
        return error.problems
    return []


def mirror_records(out: RunDirectory, config: Config, step: int) -> None:
    """Let the records of a run, which begins or continues after `step`, go where `logger` says."""
    if config.get("logger") == "tensorboard":
        out.metrics.mirrors.append(tensorboard.TensorBoard(out.path, step))


def start_weights(config: Config) -> dict[str, torch.Tensor] | None:
    """Return the weights of the best checkpoint that `init_from` names, averaged where that run averaged them.

    Stems have the names that the config gives them.
    """
    if config["init_from"] is None:
        return None
    return renamed(checkpoint.load(checkpoint.find(Path(config["init_from"]), "best")), config)
