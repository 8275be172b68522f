"""Evaluation of a checkpoint on a split of its data, or on a file of its own."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mtl_cli.batch import Split
from mtl_cli.config.knobs import NO_TRAINING, PREFERENCE, split_problems
from mtl_cli.config.run_config import checked, load_run_config, override
from mtl_cli.config.targets import Trust
from mtl_cli.config.task_groups import GROUPS
from mtl_cli.datasets.base import as_split
from mtl_cli.errors import RunFailure, UserError, some
from mtl_cli.files import sweep, write_json, write_text
from mtl_cli.report.tables import evaluation_table
from mtl_cli.runs.build import build
from mtl_cli.runs.calibration.listening import LabelledOutputs, Listener
from mtl_cli.runs.calibration.storing import Calibrated, calibrate_job, store, take_up
from mtl_cli.runs.data import make_stream, make_streams
from mtl_cli.runs.data_files import Evaluated, fingerprints, warn_of_training_rows
from mtl_cli.runs.outcome import draw_confusions
from mtl_cli.runs.predictor import build_predictor
from mtl_cli.runs.row_figures import Watchers, draw_rows
from mtl_cli.runs.samples import draw_image_samples
from mtl_cli.runs.statistics.asked import WORDS, Asked
from mtl_cli.runs.statistics.fairness import group_table, write_groups
from mtl_cli.runs.statistics.resampling import flat_intervals
from mtl_cli.runs.statistics.row_statistics import RowStatistics, Statistics
from mtl_cli.runs.written_samples import WrittenSamples, written_samples
from mtl_cli.storage import checkpoint
from mtl_cli.storage.fingerprints import Fingerprint
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.calibration_base import COUNTS
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.evaluate import evaluate_model, flat
from mtl_cli.training.group_means import to_show, with_group_means
from mtl_cli.training.job import restore
from mtl_cli.training.meters import Result
from mtl_cli.training.selection import evaluate_split

logger = logging.getLogger("mtl_cli")
DRAWN_BYTES = 1 << 22
"""What figures of a task's rows are drawn from; of more rows, every second one or fewer."""
PLACES = ("root", "path", "val_path", "test_path", "source")
"""Options of a dataset that say where its files lie."""


@dataclass(frozen=True)
class Found:
    """What an evaluation found: results by task and group, and the rows that they are of, by dataset."""

    title: str
    """The split, or the name of the file."""
    results: Mapping[str, Result]
    data: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[str, Task]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=Statistics)
    calibrated: Calibrated | None = None
    told: Mapping[str, LabelledOutputs] = field(default_factory=dict)
    """What the model says of the labelled rows, for tasks with classes, labels or numbers per row."""
    draw: Callable[[Path], object] = lambda folder: None
    """Draws samples of images into a folder."""
    texts: WrittenSamples = field(default_factory=lambda: WrittenSamples({}, {}))
    """Samples of texts that were written."""
    preference: Sequence[float] | None = None
    """The preference among the tasks that the features were conditioned on, where one was set."""


def evaluate_checkpoint(
    path: Path,
    overrides: Mapping[str, Any],
    command: Sequence[str],
    folders: Sequence[Path] = (),
    source: Path | None = None,
    told: bool = True,
) -> dict[str, Any]:
    """Evaluate a checkpoint on a split, "test" by default, or on all rows of `source`; write and return what is found.

    `overrides` are dotted keys of the run's config, such as data.root, and `split`, `bootstrap` (the number of
    resamples) and `by` (columns whose groups are compared). Nothing is compiled unless they say so: that takes longer
    than an evaluation, and a compiler. The tables are logged where it is to be `told`.

    Raises:
        UserError: the checkpoint or the data does not fit.
    """
    overrides = dict(overrides)
    split = overrides.pop("split", "test")
    asked = Asked.of({word: overrides.pop(word) for word in WORDS if word in overrides})
    if problems := split_problems(split):
        raise UserError(problems)
    file = checkpoint.find(path, "best")
    state = checkpoint.load(file)
    own = load_run_config(state["config"])
    config = checked(override(own, {**NO_TRAINING, **overrides}))
    trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
    with torch_settings(config):
        if source is None:
            found = on_split(config, checked(override(own, {})), trust, state, split, asked)
        else:
            found = on_file(config, trust, state, source, asked)
    found = replace(found, preference=config["weighting"].get(PREFERENCE))
    if told:
        tell(found, state["progress"]["step"])
    if found.calibrated is not None:
        store(file, found.calibrated.found)
        logger.info("Stored in %s: mtl-predict goes by it.", file)
    folder = file.parent.parent if file.parent.name == "checkpoints" else file.parent
    if (folder / "evaluations").is_symlink():
        raise UserError(f"{folder / 'evaluations'} is a symbolic link. Put a real folder in its place.")
    return write_evaluation(folder, file, split if source is None else "input", found)


def calibration_of(
    state: Mapping[str, Any], words: Mapping[str, Any], overrides: Mapping[str, Any], folders: Sequence[Path]
) -> Calibrated:
    """Return what `words` such as calibrate=true ask to be fitted, checked on test rows; nothing is written.

    Raises:
        UserError: the words, or the data of the run, do not fit.
    """
    own = load_run_config(state["config"])
    config = checked(override(own, {**NO_TRAINING, **overrides}))
    trust, asked = Trust(tuple(overrides.get("trust", ())), tuple(folders)), Asked.of({"bootstrap": 0, **words})
    with torch_settings(config):
        found = on_split(config, checked(override(own, {})), trust, state, "test", asked)
    assert found.calibrated is not None, "the words ask for it"
    return found.calibrated


def tell(found: Found, step: int) -> None:
    """Log the tables of an evaluation."""
    for dataset, told in found.data.items():
        where, tasks = described(told), some(told["tasks"])
        logger.info("dataset %s: %d rows of %s; tasks %s", dataset, told["rows"], where, tasks)
    shown = to_show(found.results, found.groups, found.tasks)
    intervals = found.statistics.intervals
    logger.warning("%s", evaluation_table(f"{found.title}, step {step}", shown, intervals=intervals))
    if found.calibrated is not None:
        logger.warning("\n%s", found.calibrated.table)
    show_groups(found.statistics, {name: task for name, task in found.tasks.items() if name in shown})
    if lines := found.texts.lines():
        logger.warning("%s", "\n".join(lines))


def show_groups(statistics: Statistics, tasks: Mapping[str, Task]) -> None:
    """Print a table of each task by each column."""
    if statistics.compared is None:
        return
    for by in dict.fromkeys(each.by for each in statistics.compared.groups):
        for task in tasks.values():
            if any((each.by, each.task) == (by, task.name) for each in statistics.compared.groups):
                logger.warning("\n%s", group_table(task, by, statistics.compared))
    for caution in statistics.cautions:
        logger.warning("%s", caution)


def described(told: Mapping[str, Any]) -> str:
    """Return the files and the split that were evaluated, in words."""
    files = told["files"]
    named = ", ".join(files[:3]) + (f", … ({len(files)} files)" if len(files) > 3 else "") or "the dataset"
    return named if told["split"] is None else f"{named} ({told['split']} split)"


def on_split(
    config: Mapping[str, Any],
    own: Mapping[str, Any],
    trust: Trust,
    state: Mapping[str, Any],
    split: str,
    asked: Asked,
) -> Found:
    """Evaluate on a split of the data that a config names; `own` is the config of the run itself.

    Raises:
        UserError: the checkpoint or the data does not fit.
    """

    def elsewhere(dataset: str) -> bool:
        nodes = [each["tasks"][dataset]["dataset"] for each in (own, config)]
        return any(nodes[0].get(key) != nodes[1].get(key) for key in PLACES)

    built = build(config, trust, state["datasets"], compare=Evaluated(split, elsewhere))
    restore(built.job, state)
    job, data = built.job, built.data
    take_up(state, {name: task for name, task in job.tasks.items() if task.calibrates == COUNTS})
    device, stacks = job.learner.arithmetic.device, list(job.learner.stacks.values())
    streams = make_streams(data, job.tasks, split, config["seed"], device, stacks=stacks)
    rows = RowStatistics(asked, data.sources, streams, split, job.tasks, device)
    listener = Listener(job.tasks, DRAWN_BYTES)
    results = evaluate_split(job, streams, watcher=Watchers(rows.meters, listener))
    told = {
        name: {
            "split": split,
            "rows": len(streams[name].rows),
            "files": [str(path) for part in source.files_of(split) for path in source.files().get(part, ())],
            "sha256": {part: fingerprints(source)[part].digest for part in source.files_of(split)},
            "tasks": data.tasks_of(name),
        }
        for name, source in data.sources.items()
        if name in streams
    }
    learner = job.learner
    draw = partial(
        draw_image_samples, title=split, model=learner.model, tasks=job.tasks, streams=streams,
        arithmetic=learner.arithmetic.evaluation,
    )  # fmt: skip
    texts = written_samples(learner.model, job.tasks, streams, data.sources, learner.arithmetic.evaluation)
    calibrated = None
    if asked.calibration is not None:
        calibrated = calibrate_job(job, streams, split, asked.calibration)
    return Found(
        split, results, told, job.tasks, job.groups, rows.found(job.groups), calibrated, listener.kept(), draw, texts
    )


def on_file(config: Mapping[str, Any], trust: Trust, state: Mapping[str, Any], path: Path, asked: Asked) -> Found:
    """Evaluate on all rows of a file or folder, by what was fitted in training; the files of the run are not needed.

    Raises:
        UserError: the checkpoint or the file does not fit.
    """
    model = build_predictor(config, trust, state, None, path)
    warn_of_training_rows(model.sources, state["datasets"], path)
    streams, told = {}, {}
    for name, source in model.sources.items():
        rows = as_split(source.labelled_rows(path))
        own = {task: each for task, each in model.tasks.items() if model.dataset_of[task] == name}
        streams[name] = make_stream(source, rows, name, own, config["seed"], model.arithmetic.device)
        told[name] = told_of(path, rows, own)
    watched = RowStatistics(asked, model.sources, streams, "input", model.tasks, model.arithmetic.device)
    listener = Listener(model.tasks, DRAWN_BYTES)
    watchers = Watchers(watched.meters, listener)
    results = evaluate_model(model.model, model.tasks, streams, model.arithmetic, watcher=watchers).results
    if not any(result.count for result in results.values()):
        raise UserError(
            f"{path} has no label of {', '.join(model.tasks)}, so there is nothing to evaluate. mtl-predict writes "
            "predictions for rows without labels."
        )
    members = {name: [task for task in tasks if task in results] for name, tasks in config.get(GROUPS, {}).items()}
    groups = {name: tasks for name, tasks in members.items() if tasks}
    draw = partial(
        draw_image_samples, title=path.name, model=model.model, tasks=model.tasks, streams=streams,
        arithmetic=model.arithmetic,
    )  # fmt: skip
    texts = written_samples(model.model, model.tasks, streams, model.sources, model.arithmetic)
    everything = with_group_means(results, groups)
    return Found(
        path.name, everything, told, model.tasks, groups, watched.found(groups), None, listener.kept(), draw, texts
    )


def told_of(path: Path, rows: Split, tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Return what is recorded of a file that is evaluated."""
    digest = Fingerprint.of([path] if path.is_file() else sorted(filter(Path.is_file, path.rglob("*")))).digest
    return {"split": None, "rows": len(rows), "files": [str(path)], "sha256": {"input": digest}, "tasks": list(tasks)}


def write_evaluation(folder: Path, file: Path, what: str, found: Found) -> dict[str, Any]:
    """Write what an evaluation found into a new folder of the run; return metrics.json, with groups and calibration."""
    number = 0
    while (out := folder / "evaluations" / f"{file.stem}_{what}_{number:03d}").exists():
        sweep(out)
        number += 1
    record: dict[str, Any] = {
        "checkpoint": file.name,
        "split": what,
        "data": found.data,
        "metrics": flat(found.results),
    }
    statistics = found.statistics
    if found.preference is not None:
        record["preference"] = list(found.preference)
    if statistics.method is not None:
        record |= {"intervals": flat_intervals(statistics.intervals), "bootstrap": statistics.method}
    try:
        out.mkdir(parents=True)
        write_json(out / "metrics.json", record)
        if statistics.compared is not None and statistics.method is not None:
            write_groups(out, statistics.compared, statistics.method)
        if found.calibrated is not None:
            write_json(out / "calibration.json", found.calibrated.record())
        draw_confusions(out, found.title, found.tasks, found.groups, found.results)
        calibrations = {} if found.calibrated is None else found.calibrated.found
        shown = to_show(found.results, found.groups)
        draw_rows(out, found.title, found.tasks, found.told, shown, calibrations)
        found.draw(out)
        found.texts.draw(out)
        if lines := found.texts.lines():
            write_text(out / "samples.txt", "".join(f"{line}\n" for line in lines))
    except (OSError, RunFailure) as error:
        raise UserError(f"Cannot write the evaluation to {out}: {error}.") from error
    logger.info("Written to %s", out)
    if statistics.compared is not None:
        record |= asdict(statistics.compared)
    return record if found.calibrated is None else {**record, "calibration": found.calibrated.record()}
