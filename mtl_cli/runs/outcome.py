"""What a run prints at its head and leaves behind at its end."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import RunFailure, UserError, some
from mtl_cli.files import make_folder, write_json
from mtl_cli.report.spans import outside_arithmetic
from mtl_cli.report.tables import count, duration, evaluation_table
from mtl_cli.runs.build import Built
from mtl_cli.runs.calibration.counting import fit_counts
from mtl_cli.runs.calibration.storing import with_calibrations
from mtl_cli.runs.facts import class_names, confusions_record, data_record, metrics_record
from mtl_cli.runs.private import privacy_record
from mtl_cli.storage import checkpoint
from mtl_cli.storage.directory import RunDirectory
from mtl_cli.storage.records import read_records
from mtl_cli.tasks.base import Task
from mtl_cli.training.evaluate import LOWEST_SKILL, flat
from mtl_cli.training.group_means import to_show
from mtl_cli.training.job import Job
from mtl_cli.training.meters import Result
from mtl_cli.training.selection import evaluate_split, evaluate_validation, lower_is_better

logger = logging.getLogger("mtl_cli")


def print_head(built: Built, directory: Path) -> None:
    """Log what is about to run."""
    job, cost = built.job, built.costs
    for dataset, source in built.data.sources.items():
        sizes = " / ".join(str(len(source.full_split(split))) for split in SPLITS)
        weights = some(f"{task} (weight {job.tasks[task].weight:g})" for task in built.data.tasks_of(dataset))
        logger.info("dataset %s: train / val / test %s; tasks %s", dataset, sizes, weights)
    record = cost.record()
    logger.info(
        "model: %s parameters, %s of them shared; %s FLOPs per sample (independent models: %s, %s)",
        count(cost.total), count(cost.shared), count(record["flops"]["total"]),
        count(record["parameters"]["independent"]), count(record["flops"]["independent"]),
    )  # fmt: skip
    for caution in built.cautions:
        logger.warning("%s", caution)
    workers, cores = sum(stream.workers for stream in job.train.values()), os.cpu_count() or 1
    if workers > cores:
        logger.info("%d processes read data on %d cores; fewer data.workers may be faster.", workers, cores)
    arithmetic = job.learner.arithmetic
    logger.info(
        "%d steps, %d per epoch, on %s, %s; run directory %s",
        job.total_steps, job.schedule.steps_per_epoch, arithmetic.device, arithmetic.precision,
        directory,
    )  # fmt: skip
    if job.plan.micro_batches > 1:
        logger.info("%s", rows_of_a_step(job))


def rows_of_a_step(job: Job) -> str:
    """Return how many rows an optimizer step takes in, in words."""
    plan, sizes = job.plan, {name: -(-each.order.size // each.order.batches) for name, each in job.train.items()}
    total = sum(sizes.values()) * plan.micro_batches
    parts = " + ".join(map(str, sizes.values()))
    processes = f"{plan.devices} processes" if plan.devices > 1 else "1 process"
    return (
        f"up to {total} rows per step: {plan.accumulate} micro-batch{'es' if plan.accumulate > 1 else ''} of "
        f"{parts} on {processes}"
    )


def finish(built: Built, out: RunDirectory) -> dict[str, Any]:
    """Test the best checkpoint, draw the figures and write the summary, which is returned."""
    job, ranks = built.job, built.job.learner.ranks
    try:
        best = ranks.tell(lambda: weights_in(checkpoint.load(checkpoint.find(out.path, "best"))))
        job.load_weights(best)
    except (UserError, RuntimeError, ValueError, TypeError, KeyError) as error:  # one of another run's may lie there
        raise RunFailure(f"Training is done, but its best checkpoint cannot be tested: {error}") from error
    if (counts := fit_counts(job)) and ranks.is_first:
        file = checkpoint.find(out.path, "best")
        checkpoint.write(file, with_calibrations(checkpoint.load(file), counts))
    results = {} if job.judge else evaluate_split(job, job.test)
    if not ranks.is_first:
        return {}
    with ranks.watch.patient():
        return written(built, out, results)


def weights_in(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of a checkpoint, and their average."""
    return {name: state[name] for name in ("model", "ema")}


def written(built: Built, out: RunDirectory, results: Mapping[str, Result]) -> dict[str, Any]:
    """Draw the figures and write the summary of a run with these results on test data; return the summary."""
    job = built.job
    progress = job.progress
    values = flat(results)
    if results:
        out.metrics.write({"kind": "eval", "split": "test", "step": progress.best_step, "metrics": values})
    rate = progress.samples / progress.train_seconds if progress.train_seconds else math.nan
    summary = {
        "status": "completed",
        "selection": selection_record(job),
        "best_val": progress.best_val,
        "last_val": progress.last_val,
        "primary": primary_record(job),
        "test": values,
        **metrics_record(job, list({**progress.best_val, **values})),
        "data": data_record(built.data),
        **built.costs.record(),
        **privacy_record(job),
        "steps": progress.step,
        "skipped_steps": progress.skipped + progress.overflows,
        "rollbacks": progress.rollbacks,
        "seconds": progress.seconds,
        "train_seconds": progress.train_seconds,
        "samples_per_second": rate,
        "outside_arithmetic": outside_arithmetic(progress.spans, progress.train_seconds),
        "span_seconds": progress.spans,
        "precision": job.learner.arithmetic.precision,
        "device": str(job.learner.arithmetic.device),
    }
    draw(out, job, results)
    write_json(out.path / "confusions.json", confusions_record("test", job.tasks, to_show(results, job.groups)))
    out.summary(summary)
    if absent := [name for name, each in results.items() if not each.count]:
        logger.warning("The test split has no label of %s.", some(absent))
    if results:
        told = to_show(results, job.groups, job.tasks)
        table = evaluation_table(f"test, best step {progress.best_step}", told)
        logger.warning("%s", table, extra={"result": True})  # a quiet sweep leaves it out
    if progress.train_seconds:  # a merged model was not trained
        logger.info(
            "%s, %.0f samples/s, %.1f %% of training was arithmetic. Everything is in %s",
            duration(progress.seconds), rate, 100 * (1 - summary["outside_arithmetic"]), out.path,
        )  # fmt: skip
    return summary


def selection_record(job: Job) -> dict[str, Any]:
    """Return the selection metric with its best value, in the metric's own sign."""
    name = job.progress.selected_by or job.plan.selection
    lower, best = lower_is_better(job, name), job.progress.best_score
    value = -best if lower and best is not None else best
    return {"metric": name, "best": value, "lower_is_better": lower, "best_step": job.progress.best_step}


def primary_record(job: Job) -> dict[str, dict[str, Any]]:
    """Return the primary metric of each trained task at the best step on validation data, and its gain.

    The gain is that over the trivial predictor, as in the skill; null where the run did not measure it.
    """
    if job.baseline is None and job.plan.selection == "skill":  # the run was continued after its last evaluation
        evaluate_validation(job)
    record: dict[str, dict[str, Any]] = {}
    for name, task in job.learner.tasks.items():
        info, value = task.metric_info[task.primary], job.progress.best_val.get(f"{name}/{task.primary}", math.nan)
        trivial = math.nan if job.baseline is None else job.baseline[name].metrics[task.primary]
        gain = info.skill(value, trivial) if math.isfinite(trivial) else math.nan
        record[name] = {
            "metric": task.primary,
            "value": value,
            "lower_is_better": info.lower_is_better,
            "trivial": trivial,
            "gain": max(gain, LOWEST_SKILL) if math.isfinite(gain) else gain,
        }
    return record


def draw(out: RunDirectory, job: Job, results: Mapping[str, Result]) -> None:
    """Draw the figures of a run into plots/."""
    from mtl_cli.report.curves import curves

    folder = out.path / "plots"
    make_folder(folder)
    try:
        curves(folder, read_records(out.metrics.path), flat(job.baseline or {}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        logger.warning("No curves are drawn: %s holds a damaged record (%r).", out.metrics.path, error)
    draw_confusions(folder, "test", job.tasks, job.groups, results)


def draw_confusions(
    folder: Path,
    split: str,
    tasks: Mapping[str, Task],
    groups: Mapping[str, Sequence[str]],
    results: Mapping[str, Result],
) -> None:
    """Draw a confusion matrix for each task that has one."""
    from mtl_cli.report.confusion import confusion

    for name, result in to_show(results, groups).items():
        if result.confusion is not None:
            names = class_names(tasks[name], len(result.confusion))
            confusion(folder / f"confusion_{name}.png", name, split, result.confusion.tolist(), names)
