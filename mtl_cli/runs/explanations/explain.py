"""mtl-explain: what the tasks of a trained model look at."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mtl_cli.config.knobs import NO_TRAINING
from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError, nearest
from mtl_cli.files import make_folder, write_json
from mtl_cli.runs.build import Built, build
from mtl_cli.runs.data_files import Evaluated
from mtl_cli.runs.explanations.explained import Explained, Request, chosen_rows
from mtl_cli.runs.explanations.importance_tables import show_importances
from mtl_cli.runs.explanations.permutation import Importance, served
from mtl_cli.storage import checkpoint
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.job import restore

logger = logging.getLogger("mtl_cli")


def explain(
    path: Path, output: Path, request: Request, overrides: Mapping[str, Any], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """Write what a checkpoint's tasks look at into a folder; return the record of explanations.json.

    Raises:
        UserError: the checkpoint, the data or a task does not fit, or captum is not installed.
        RunFailure: the disk is full.
    """
    state = checkpoint.load(checkpoint.find(path, "best"))
    config = checked(override(load_run_config(state["config"]), {**NO_TRAINING, **overrides}))
    with torch_settings(config):
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        built = build(config, trust, state["datasets"], compare=Evaluated(request.split, lambda dataset: False))
        restore(built.job, state)
        chosen = chosen_tasks(request.tasks, built.job.tasks)
        if output.exists() and not output.is_dir():
            raise UserError(f"{output} is a file. Give a folder: output=DIR.")
        make_folder(output)
        with contextlib.nullcontext() if built.job.ema is None else built.job.ema.applied():
            built.job.learner.model.eval()
            return explain_datasets(built, chosen, output, request)


def chosen_tasks(names: Sequence[str], tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Return the tasks to explain.

    Raises:
        UserError: one is unknown.
    """
    if unknown := [name for name in names if name not in tasks]:
        raise UserError(
            f"task names '{unknown[0]}', which is not a task of this run.{nearest(unknown[0], tasks)} "
            f"Its tasks: {', '.join(tasks)}."
        )
    return {name: tasks[name] for name in names or tasks}


def explain_datasets(built: Built, tasks: Mapping[str, Task], output: Path, request: Request) -> dict[str, Any]:
    """Explain the tasks dataset by dataset."""
    found: list[Importance] = []
    record: dict[str, Any] = {"split": request.split, "datasets": {}}
    for dataset, source in built.data.sources.items():
        own = {name: task for name, task in tasks.items() if built.data.dataset_of[name] == dataset}
        own = {name: task for name, task in own.items() if task.target in source.field_specs}
        if not own:
            continue
        rows = chosen_rows(source, request)
        one = Explained(built, dataset, source, own, rows, output)
        places = source.named_inputs()
        if places:
            found += one.importances(places, request.repeats)
        record["datasets"][dataset] = {"rows": len(rows.indices), **one.gradients(places)}
    if found:
        show_importances(found, output)
        record["importances"] = [asdict(each) for each in found]
        record["serves"] = served(found)
    if not record["datasets"]:
        raise UserError(f"None of {', '.join(tasks)} has labels of its own rows, so there is nothing to explain.")
    write_json(output / "explanations.json", record)
    logger.info("Written to %s", output)
    return record
