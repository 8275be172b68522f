"""Merged models: built from runs of each task alone, scaled on validation data, tested and left behind as runs."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtl_cli.answers.runs import MERGED, find_runs
from mtl_cli.config.knobs import NO_TRAINING
from mtl_cli.config.run_config import checked, config_hash, override
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError
from mtl_cli.files import read_json, sha256, write_json
from mtl_cli.merging.methods import direction, moved
from mtl_cli.merging.parents import ADVICE, Parents, parents_of
from mtl_cli.runs.build import Built, build
from mtl_cli.runs.data_files import fingerprints
from mtl_cli.runs.environment import environment
from mtl_cli.runs.outcome import finish
from mtl_cli.runs.stem_names import renamed
from mtl_cli.storage import checkpoint
from mtl_cli.storage.directory import RunDirectory, read_status
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.evaluate import flat
from mtl_cli.training.selection import decides, evaluate_validation, is_better, lower_is_better, score_of

logger = logging.getLogger("mtl_cli")
SCALES = tuple(round(0.1 * number, 1) for number in range(1, 21))
"""Scales λ of the merged task vector that are tried on validation data: one grid for all methods."""
Weights = Mapping[str, Tensor]


def merge(paths: Sequence[Path], methods: Sequence[str], output: Path, command: Sequence[str], trust: Trust) -> None:
    """Merge the single-task runs in some directories into `output`/<method>/<seed and fold>; what is there is kept.

    Raises:
        UserError: there are no such runs, or they have no common initialisation; nothing was made for them.
    """
    for parents in parents_of(find_runs(paths)):
        for method in methods:
            _merged(parents, method, output / method / parents.name, command, trust)


def _merged(parents: Parents, method: str, folder: Path, command: Sequence[str], trust: Trust) -> None:
    files = {task: checkpoint.find(run.path, "best") for task, run in parents.runs.items()}
    start_file = _common_start(parents)
    record = {
        "method": method,
        "start": sha256(start_file.read_bytes()),
        "runs": {task: sha256(file.read_bytes()) for task, file in files.items()},
    }
    if read_status(folder):
        found = read_json(folder / MERGED)
        if any(found.get(key) != value for key, value in record.items()):
            raise UserError(f"{folder} holds what other runs were merged to. Remove it, or give another output=DIR.")
        return
    config = joint_config(parents)
    resolved = checked(config)
    start = renamed(checkpoint.load(start_file), resolved)
    ends = {task: renamed(checkpoint.load(file), resolved) for task, file in files.items()}
    began = time.monotonic()
    with torch_settings(resolved):
        built = build(resolved, trust, start=start)
        _refuse_other_data(parents, built)
        model = built.job.learner.model
        specific = {task: set(map(id, each)) for task, each in built.job.learner.partition.specific.items()}
        common = common_tensors(dict(model.named_parameters()), specific, start, ends)
        own = own_tensors(model, common, ends)
        way = direction(method, common, [{name: end[name] for name in common} for end in ends.values()])
        out = RunDirectory.create(folder, config, config_hash(config))
        try:
            scores = _choose(built, common, own, way)
            built.job.progress.seconds = time.monotonic() - began
            write_json(folder / "environment.json", environment(command, resolved, built.job.learner.arithmetic))
            _leave(built, out, {**record, **scores})
        finally:
            out.close()
            built.job.close()
    logger.info("Merged %s by %s, scale %g: %s", ", ".join(files), method, scores["scale"], folder)


def joint_config(parents: Parents) -> dict[str, Any]:
    """Return the config of a joint run of the tasks, as that of the first one has it otherwise."""
    first = parents.first.config
    tasks = {name: node for run in parents.runs.values() for name, node in run.config["tasks"].items()}
    changes: dict[str, Any] = {
        **NO_TRAINING,
        "trainer.devices": 1,
        "trainer.strategy": "ddp",
        "ema.decay": None,
        "tasks": tasks,
    }
    metrics = {str(run.config["selection"]["metric"]) for run in parents.runs.values()}
    if len(metrics) > 1 or "/" in next(iter(metrics)):  # each task's own metric says nothing of all tasks
        changes["selection.metric"] = "skill"
    return override(dict(first), changes)


def _common_start(parents: Parents) -> Path:
    """Return the checkpoint that all runs started from.

    Raises:
        UserError: they started from different ones.
    """
    found = {run.path: checkpoint.find(Path(str(run.config["init_from"])), "best") for run in parents.runs.values()}
    first = found[parents.first.path]
    for path, file in found.items():
        if file.resolve() != first.resolve():
            raise UserError(
                f"{path} cannot be merged with {parents.first.path}: it started from {file}, not from {first}, so "
                f"there is no common initialisation. {ADVICE}"
            )
    return first


def _refuse_other_data(parents: Parents, built: Built) -> None:
    for task, run in parents.runs.items():
        now = fingerprints(built.data.sources[built.data.dataset_of[task]])
        for file, digest in run.data[task].files.items():
            if file in now and now[file].digest != digest:
                raise UserError(
                    f"What {task} reads as {file} is not what {run.path} was trained on. Put the data of the run back."
                )


def common_tensors(
    parameters: Weights, specific: Mapping[str, set[int]], start: Weights, ends: Mapping[str, Weights]
) -> dict[str, Tensor]:
    """Return the start's values of the parameters below the heads that several tasks trained from it.

    `specific` are the identities of those that reach one task alone in the joint model.

    Raises:
        UserError: there are none, or several tasks need a parameter that did not start there in all of their runs.
    """
    common: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        holders = [task for task, end in ends.items() if name in end]
        if name.startswith("heads.") or (len(holders) == 1 and id(parameter) in specific[holders[0]]):
            continue
        known = name in start and len(holders) == len(ends)
        if not known or any(each[name].shape != parameter.shape for each in (start, *ends.values())):
            raise UserError(
                f"The runs cannot be merged: {name} did not start from the same values in all of them, because "
                "init_from or one of the runs has no such part. Start all of them from a run that has it, such as one "
                "of the same datasets."
            )
        common[name] = start[name]
    if not common:
        raise UserError("The runs cannot be merged: they have no weights below the heads in common. Use sharing=hard.")
    return common


def own_tensors(model: torch.nn.Module, common: Weights, ends: Mapping[str, Weights]) -> dict[str, Tensor]:
    """Return all other tensors of the merged model: of the one run that has them, or the mean of buffers.

    Such buffers are the running statistics of batch norms; of numbers that are not floats the first is taken.
    """
    found = {}
    for name in model.state_dict().keys() - common.keys():
        values = [end[name] for end in ends.values() if name in end]
        if not values:
            raise UserError(f"The runs cannot be merged: none of them has {name}. Use sharing=hard.")
        found[name] = torch.stack(values).mean(dim=0) if values[0].is_floating_point() else values[0]
    return found


def _choose(built: Built, common: Weights, own: Weights, way: Weights) -> dict[str, Any]:
    """Give the model the scale that is best on validation data; return it with the scores of all."""
    job, name = built.job, built.job.plan.selection
    progress = job.progress
    scores: dict[str, float] = {}
    chosen = SCALES[0]
    for scale in SCALES:
        job.learner.model.load_state_dict({**own, **moved(common, way, scale)})
        results = evaluate_validation(job)
        score = scores[str(scale)] = score_of(job, name, results)
        if is_better(score, progress.best_score):
            chosen, progress.best_score, progress.best_val = scale, score, flat(results)
    job.learner.model.load_state_dict({**own, **moved(common, way, chosen)})
    progress.last_val, progress.selected_by = progress.best_val, decides(job, name)
    return {"scale": chosen, "scores": scores}


def _leave(built: Built, out: RunDirectory, record: Mapping[str, Any]) -> None:
    """Write what a run leaves; its step is the last one, so that nothing would go on from it by training."""
    job, progress = built.job, built.job.progress
    progress.step = progress.best_step = job.total_steps
    assert progress.best_score is not None
    shown = -progress.best_score if lower_is_better(job, str(progress.selected_by)) else progress.best_score
    evaluation = {"kind": "eval", "split": "val", "step": progress.step, "epoch": job.epoch, "selection": shown}
    out.metrics.write({**evaluation, "metrics": progress.best_val})
    out.save(progress.step, job.state(), True, progress.best_score, job.plan.keep)
    write_json(out.path / MERGED, record)
    finish(built, out)
    out.status("completed", progress.step, job.epoch)
