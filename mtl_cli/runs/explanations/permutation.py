"""Permutation importance: how much worse a task becomes when one input is shuffled among the rows.

Breiman, "Random forests", Machine Learning 2001; Fisher, Rudin, Dominici, "All models are wrong, but many are useful",
JMLR 2019, who call it model reliance. All places of an input are shuffled together, such as a number and the mark of
its being missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputPlace, Inputs, Sample, Values
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.seeding import generator
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.meters import Meter

BATCH = 1024
LEAST_SHARE = 0.02
"""An input serves a task only if its importance is at least this share of the largest one."""


@dataclass(frozen=True)
class Importance:
    """How much one task's primary metric becomes worse without one input: mean and deviation over shuffles."""

    task: str
    input: str
    metric: str
    value: float
    """The metric with all inputs as they are."""
    worse_by: float
    deviation: float
    serves: bool = False


def importances(
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    dataset: str,
    rows: Sample,
    places: Mapping[str, Sequence[InputPlace]],
    arithmetic: Arithmetic,
    repeats: int,
) -> list[Importance]:
    """Return the importance of every input for every task of a dataset that has a label among the rows."""
    base = metrics(model, tasks, dataset, rows.inputs, rows, arithmetic)
    found = []
    for name, own in places.items():
        drops: dict[str, list[float]] = {task: [] for task in base}
        for repeat in range(repeats):
            order = torch.randperm(rows_in(rows.inputs), generator=generator(0, "explain", dataset, name, repeat))
            shuffled = metrics(model, tasks, dataset, permuted(rows.inputs, own, order), rows, arithmetic)
            for task, value in base.items():
                lower = tasks[task].metric_info[tasks[task].primary].lower_is_better
                drops[task].append((shuffled[task] - value) * (1 if lower else -1))
        found += [
            Importance(task, name, tasks[task].primary, base[task], float(np.mean(drop)), float(np.std(drop, ddof=1)))
            for task, drop in drops.items()
        ]
    return marked(found)


def marked(found: Sequence[Importance]) -> list[Importance]:
    """Return importances with whether the input serves the task, from the most important one of each task down.

    It does where the mean is two deviations above 0, and 2 % or more of the largest one of the task.
    """
    largest: dict[str, float] = {}
    for each in found:
        largest[each.task] = max(largest.get(each.task, 0.0), each.worse_by)
    judged = [
        Importance(
            each.task, each.input, each.metric, each.value, each.worse_by, each.deviation,
            each.worse_by > max(2 * each.deviation, LEAST_SHARE * largest[each.task]),
        )
        for each in found
    ]  # fmt: skip
    return sorted(judged, key=lambda each: (list(largest).index(each.task), -each.worse_by))


def served(found: Sequence[Importance]) -> dict[str, list[str]]:
    """Return the tasks that each input serves."""
    tasks: dict[str, list[str]] = {}
    for each in found:
        own = tasks.setdefault(each.input, [])
        if each.serves:
            own.append(each.task)
    return tasks


def rows_in(values: Values) -> int:
    """Return the number of rows of inputs."""
    return len(values if isinstance(values, Tensor) else next(iter(values.values())))


def permuted(values: Values, places: Sequence[InputPlace], order: Tensor) -> Values:
    """Return inputs in which some places of a row are those of another row."""
    if isinstance(values, Tensor):
        changed = values.clone()
        for place in places:
            changed[:, place.index] = values[order, place.index]
        return changed
    mixed = dict(values)
    for place in places:
        if place.index is None:
            mixed[place.key] = values[place.key][order]
            continue
        if mixed[place.key] is values[place.key]:
            mixed[place.key] = values[place.key].clone()
        mixed[place.key][:, place.index] = values[place.key][order, place.index]
    return mixed


@torch.no_grad()
def metrics(
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    dataset: str,
    values: Values,
    rows: Sample,
    arithmetic: Arithmetic,
) -> dict[str, float]:
    """Return the primary metric of each task that has a label, on rows with other inputs."""
    meters = {name: Meter(task, arithmetic.device) for name, task in tasks.items()}
    part = Sample(values, rows.fields)
    for start in range(0, rows_in(values), BATCH):
        some = part.rows(start, start + BATCH)
        with arithmetic.autocast():
            out = model.predict(Inputs(some.inputs, dataset).to(arithmetic.device), list(tasks))
        for name, task in tasks.items():
            target = some.fields[task.target].to(arithmetic.device)
            if count := task.labelled_entries(target):
                meters[name].update(out.predicted(name), target, count)
    results = {name: meter.result() for name, meter in meters.items()}
    return {name: each.metrics[tasks[name].primary] for name, each in results.items() if each.count}
