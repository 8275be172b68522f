"""Which checkpoint is the best, and when early stopping ends a run: from validation data only."""

import contextlib
import logging
import math
from collections.abc import Mapping, Sequence

from mtl_cli.errors import some
from mtl_cli.training.evaluate import Watcher, comparable, evaluate_model, flat, skill
from mtl_cli.training.group_means import mean, with_group_means
from mtl_cli.training.job import Job
from mtl_cli.training.loading import Stream
from mtl_cli.training.meters import Result

logger = logging.getLogger("mtl_cli")

MEAN_LOSS = "loss"
"""What decides in the place of a skill that is not defined: the mean of the trained tasks' validation losses."""
LAST = "last"
"""The name of a selection without validation data: the last evaluation is the best."""


def evaluate_split(
    job: Job, streams: Mapping[str, Stream], baseline: bool = False, watcher: Watcher | None = None
) -> dict[str, Result]:
    """Evaluate on a split, with the averaged weights where there are any; the means of groups of tasks come last.

    With `baseline` also the constant predictors that the skill is measured against, which the job then keeps. The
    `watcher` sees all outputs.
    """
    learner = job.learner
    constants = None
    if baseline:
        constants = {name: task.trivial_outputs(job.summaries[name]) for name, task in learner.tasks.items()}
    averaged = contextlib.nullcontext() if job.ema is None else job.ema.applied()
    with averaged, learner.strategy.evaluating(learner.model):
        found = evaluate_model(
            learner.model, job.tasks, streams, learner.arithmetic.evaluation, constants, watcher, learner.ranks
        )
    if baseline:
        job.baseline = found.constant
        tell_left_out(job, found.constant)
    return with_group_means(found.results, job.groups)


def evaluate_validation(job: Job) -> dict[str, Result]:
    """Evaluate on validation data; the first time, where the skill is asked for, its baseline comes out of it too."""
    names = [name for name in (job.plan.selection, job.plan.stop_metric) if name is not None]
    results = evaluate_split(job, job.val, baseline=job.baseline is None and "skill" in names)
    if job.undefined is None:
        job.undefined = undefined(names, results)
    return results


def undefined(names: Sequence[str], results: Mapping[str, Result]) -> set[str]:
    """Return the metrics "<task>/<metric>" that have no value on the validation data, with a warning.

    Whether one has depends on the labels alone, such as those of one class, so that all evaluations of a run agree.
    """
    found, values = set(), flat(results)
    for name in dict.fromkeys(names):
        if name not in ("skill", LAST) and math.isnan(values[name]) and math.isfinite(values[loss_of(name)]):
            found.add(name)
            logger.warning(
                "%s is not defined on the validation data, such as the AUC of a single class. %s decides in its place. "
                "Set selection.metric=TASK/METRIC to select by another metric.", name, loss_of(name),
            )  # fmt: skip
    return found


def loss_of(name: str) -> str:
    """Return the loss of the task or group whose metric is named."""
    return f"{name.partition('/')[0]}/loss"


def tell_left_out(job: Job, baseline: Mapping[str, Result]) -> None:
    """Warn of tasks that the skill leaves out for the whole run."""
    tasks = job.learner.tasks
    absent = unlabelled(job, baseline)
    if absent:
        ends = ", so the last evaluation counts as the best" if len(absent) == len(tasks) else ""
        logger.warning("The validation split has no label of %s%s.", some(absent), ends)
    if len(absent) == len(tasks):
        return
    kept = comparable(tasks, baseline)
    left = [f"{name}/{task.primary}" for name, task in tasks.items() if name not in kept]
    if not left:
        return
    instead = "the skill is the mean over the other tasks" if kept else "the mean validation loss decides instead"
    logger.warning(
        "Not defined for a trivial predictor on the validation data: %s. In this run %s. "
        "Set selection.metric=TASK/METRIC to select by another metric.", some(left), instead,
    )  # fmt: skip


def unlabelled(job: Job, results: Mapping[str, Result]) -> list[str]:
    """Return the trained tasks of which a split has no label."""
    return [name for name in job.learner.tasks if not results[name].count]


def decides(job: Job, name: str) -> str:
    """Return what decides where "skill" or a metric "<task>/<metric>" is asked for: itself, a loss, or "last"."""
    if name in (job.undefined or ()):
        return loss_of(name)
    if name != "skill" or job.baseline is None or comparable(job.learner.tasks, job.baseline):
        return name
    return LAST if len(unlabelled(job, job.baseline)) == len(job.learner.tasks) else MEAN_LOSS


def score_of(job: Job, name: str, results: Mapping[str, Result]) -> float:
    """Return "skill", "last" or a metric "<task>/<metric>" of validation results, such that higher is better."""
    name = decides(job, name)
    if name == LAST:
        return float(job.progress.step)
    if name == MEAN_LOSS:
        return -mean(results[task].loss for task in job.learner.tasks)
    if name != "skill":
        value = flat(results)[name]
        return -value if lower_is_better(job, name) else value
    assert job.baseline is not None, "it comes out of the first evaluation"
    return skill(job.learner.tasks, results, job.baseline)


def is_better(value: float, best: float | None) -> bool:
    """True where a value, higher is better, is the best so far; NaN, a metric that is not defined, is the worst."""
    return best is None or value > best or (math.isnan(best) and not math.isnan(value))


def is_best(job: Job, score: float, values: Mapping[str, float]) -> bool:
    """True where validation results are the best so far: a better score, or the same one with a lower mean loss.

    On few rows a score is soon as good as it gets, while the network goes on learning.
    """
    progress, losses = job.progress, [f"{name}/loss" for name in job.learner.tasks]
    if score != progress.best_score:
        return is_better(score, progress.best_score)
    return mean(values[loss] for loss in losses) < mean(progress.best_val[loss] for loss in losses)


def lower_is_better(job: Job, name: str) -> bool:
    """Return how "skill" or a metric "<task>/<metric>" is read; a group's is read as that of its tasks."""
    if name in ("skill", MEAN_LOSS, LAST):
        return name == MEAN_LOSS
    task, metric = name.split("/")
    task = next((each for each in job.groups.get(task, ()) if metric in job.tasks[each].metric_info), task)
    return metric == "loss" or job.tasks[task].metric_info[metric].lower_is_better


def count_patience(job: Job, results: Mapping[str, Result], score: float) -> None:
    """Count evaluations without improvement of the early-stopping metric."""
    progress, name = job.progress, job.plan.stop_metric
    value = score if name is None else score_of(job, name, results)
    if is_better(value, progress.stop_best):
        progress.stop_best, progress.stale = value, 0
    else:
        progress.stale += 1


def why_stopped(job: Job) -> str | None:
    """Return why a run ended before its limit, in words; None where it did not."""
    progress = job.progress
    if not stopped_early(job) or progress.step >= job.total_steps:
        return None
    name = decides(job, job.plan.stop_metric or job.plan.selection)
    told = "the mean validation loss" if name == MEAN_LOSS else name
    return (
        f"Stopped early after step {progress.step} of {job.total_steps}: {told} has not improved in the last "
        f"{progress.stale} evaluations (early_stopping.patience={job.plan.patience})"
    )


def stopped_early(job: Job) -> bool:
    """True where early stopping's patience is used up."""
    return job.plan.patience is not None and job.progress.stale >= job.plan.patience
