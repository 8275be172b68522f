"""Which checkpoint is the best, and when early stopping ends a run: from validation data only."""

import contextlib
import math
from collections.abc import Mapping

from mtl_cli.training.evaluate import Result, evaluate_model, flat, skill
from mtl_cli.training.group_means import with_group_means
from mtl_cli.training.job import Job
from mtl_cli.training.loading import Stream


def evaluate_split(job: Job, streams: Mapping[str, Stream], baseline: bool = False) -> dict[str, Result]:
    """Evaluate on a split, with the averaged weights where there are any; the means of groups of tasks come last.

    With `baseline` also the constant predictors that the skill is measured against, which the job then keeps.
    """
    learner = job.learner
    constants = None
    if baseline:
        constants = {name: task.trivial_outputs(job.summaries[name]) for name, task in learner.tasks.items()}
    with contextlib.nullcontext() if job.ema is None else job.ema.applied():
        found = evaluate_model(learner.model, job.tasks, streams, learner.arithmetic.evaluation, constants)
    if baseline:
        job.baseline = found.constant
    return with_group_means(found.results, job.groups)


def evaluate_validation(job: Job) -> dict[str, Result]:
    """Evaluate on validation data; the first time, where the skill is asked for, its baseline comes out of it too."""
    names = (job.plan.selection, job.plan.stop_metric)
    return evaluate_split(job, job.val, baseline=job.baseline is None and "skill" in names)


def score_of(job: Job, name: str, results: Mapping[str, Result]) -> float:
    """Return "skill" or a metric "<task>/<metric>" of validation results, such that higher is better."""
    if name != "skill":
        value = flat(results)[name]
        return -value if lower_is_better(job, name) else value
    assert job.baseline is not None, "it comes out of the first evaluation"
    return skill(job.learner.tasks, results, job.baseline)


def is_better(value: float, best: float | None) -> bool:
    """True where a value, higher is better, is the best so far; NaN, a metric that is not defined, is the worst."""
    return best is None or value > best or (math.isnan(best) and not math.isnan(value))


def lower_is_better(job: Job, name: str) -> bool:
    """Return how "skill" or a metric "<task>/<metric>" is read; a group's is read as that of its tasks."""
    if name == "skill":
        return False
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


def stopped_early(job: Job) -> bool:
    """True where early stopping's patience is used up."""
    return job.plan.patience is not None and job.progress.stale >= job.plan.patience
