"""Fitting on validation rows: a temperature, decisions, sets and intervals of each task that has a use for them.

- The temperature T > 0 makes the probabilities of outputs/T the likeliest: Guo, Pleiss, Sun, Weinberger, "On
  calibration of modern neural networks", ICML 2017.
- The baseline hazard of a Cox model, with which its risk becomes a survival curve.
- Decisions that are best by accuracy or F1, or have the lowest expected cost.
- Sets of classes and intervals of numbers by split conformal prediction: Vovk, Gammerman, Shafer, "Algorithmic learning
  in a random world", 2005; the sets are those of Sadinle, Lei, Wasserman, "Least ambiguous set-valued classifiers with
  bounded error levels", JASA 2019. Rows that are exchangeable with the validation rows are covered with at least the
  coverage that was asked for, on average over validation sets.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mtl_cli.errors import UserError
from mtl_cli.runs.calibration.decisions import best_thresholds, best_weights
from mtl_cli.runs.calibration.listening import LabelledOutputs
from mtl_cli.runs.calibration.wish import Costs, Wish
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.calibration_base import Calibration

Array = np.ndarray[Any, Any]
ROUNDING = 1e-6
"""What sets and intervals are wider by, so that a row at their edge stays in them in float32."""
QUARTILES = (0.25, 0.5, 0.75)
"""Shares of the observed times that survival is told at."""
LARGEST = 20.0
"""Temperatures are from 1/20 to 20."""


def calibrate(tasks: Mapping[str, Task], outputs: Mapping[str, LabelledOutputs], wish: Wish) -> dict[str, Calibration]:
    """Return what is fitted for each task that can be calibrated, from what a model says of validation rows.

    Raises:
        UserError: the wish names a task that cannot be calibrated, or costs of another number of classes.
    """
    check_wish(tasks, outputs, wish)
    return {name: calibrated(tasks[name], each, wish) for name, each in outputs.items()}


def check_wish(tasks: Mapping[str, Task], outputs: Mapping[str, LabelledOutputs], wish: Wish) -> None:
    """Refuse a wish that no task can fulfil.

    Raises:
        UserError: all that is wrong.
    """
    classes = [name for name in outputs if tasks[name].calibrates in ("classes", "labels")]
    problems = [
        f"thresholds names '{name}', which is not a task with classes. Those here: {', '.join(classes) or 'none'}."
        for name in wish.thresholds
        if name and name not in classes
    ]
    for name, wanted in wish.thresholds.items():
        if isinstance(wanted, tuple) and not problems:
            mine = [name] if name else classes
            sizes = {task: tasks[task].field.num_classes for task in mine if tasks[task].calibrates == "classes"}
            if len(wanted) not in sizes.values():
                own_sizes = ", ".join(f"{task} has {size}" for task, size in sizes.items()) or "no task has classes"
                problems.append(f"thresholds has costs of {len(wanted)} classes; {own_sizes}.")
    if not outputs:
        kinds = "classes, labels, numbers or survival times"
        problems.append(f"No task of this run can be calibrated: none has {kinds} per row.")
    if problems:
        raise UserError(problems)


def calibrated(task: Task, rows: LabelledOutputs, wish: Wish) -> Calibration:
    """Return what is fitted for one task."""
    if task.calibrates == "survival":
        return survival(rows.outputs[:, 0].double().numpy(), rows.target.double().numpy())
    if task.calibrates == "numbers":
        return Calibration(margins=margins(task, rows, wish.coverage), coverage=wish.coverage)
    temperature = best_temperature(task, rows)
    probabilities = task.probabilities(rows.outputs.double() / temperature).numpy()
    wanted = wish.of(task.name)
    if task.calibrates == "labels":
        thresholds = None
        if isinstance(wanted, str):
            thresholds = best_thresholds(probabilities, task.references(rows.target).numpy(), wanted)
        return Calibration(temperature, thresholds=thresholds)
    truth = task.references(rows.target).numpy()
    lowest = lowest_in_set(probabilities[np.arange(len(truth)), truth], wish.coverage)
    return Calibration(temperature, decision(probabilities, truth, wanted), lowest=lowest, coverage=wish.coverage)


def decision(probabilities: Array, truth: Array, wanted: str | Costs | None) -> Costs | None:
    """Return how good each decision is, by the true class; None leaves decisions as they are."""
    classes = probabilities.shape[1]
    if wanted is None or (isinstance(wanted, tuple) and len(wanted) != classes):
        return None
    if isinstance(wanted, tuple):
        return tuple(tuple(-cost for cost in row) for row in wanted)
    weights = best_weights(probabilities, truth, wanted)
    return tuple(tuple(weights[k] if j == k else 0.0 for j in range(classes)) for k in range(classes))


def log_likelihood(task: Task, rows: LabelledOutputs, temperature: float) -> float:
    """Return the mean log-likelihood of the labels at a temperature."""
    probabilities = task.probabilities(rows.outputs.double() / temperature).clamp(1e-300, 1.0)
    truth = task.references(rows.target)
    if task.calibrates == "labels":
        absent = (1.0 - probabilities).clamp(min=1e-300)
        marks = truth >= 0
        values = torch.where(truth == 1, probabilities, absent).log()
        return float(values[marks].mean())
    return float(probabilities.gather(1, truth[:, None]).log().mean())


def best_temperature(task: Task, rows: LabelledOutputs) -> float:
    """Return the temperature of the highest likelihood, by golden section over its logarithm.

    The negative logarithm of the likelihood is convex in 1/T for probabilities that are a softmax or sigmoid of
    outputs/T, and so it has one minimum over log T too.
    """
    low, high, ratio = -math.log(LARGEST), math.log(LARGEST), (math.sqrt(5) - 1) / 2

    def value(logarithm: float) -> float:
        return log_likelihood(task, rows, math.exp(logarithm))

    for _ in range(40):
        first, second = high - ratio * (high - low), low + ratio * (high - low)
        if value(first) > value(second):
            high = second
        else:
            low = first
    return float(f"{math.exp((low + high) / 2):.5g}")


def conformal_rank(rows: int, coverage: float) -> int:
    """Return which of the sorted scores of so many rows, counted from 1, bounds those of new rows with the coverage."""
    return math.ceil(round((rows + 1) * coverage, 9))


def lowest_in_set(of_truth: Array, coverage: float) -> float:
    """Return the probability from which a class is in the set of a row, from those of the true classes [N].

    With too few rows for the coverage every class is in every set.
    """
    rank = conformal_rank(len(of_truth), coverage)
    return 0.0 if rank > len(of_truth) else float(np.sort(of_truth)[::-1][rank - 1]) * (1 - ROUNDING)


def margins(task: Task, rows: LabelledOutputs, coverage: float) -> tuple[float, ...] | None:
    """Return half the length of the interval of each column, None with too few rows for the coverage."""
    predicted = task.predictions(rows.outputs).reshape(len(rows.outputs), -1).double()
    errors = (predicted - task.references(rows.target).reshape(predicted.shape).double()).abs().numpy()
    found = []
    for column in errors.T:
        known = np.sort(column[~np.isnan(column)])
        rank = conformal_rank(len(known), coverage)
        if rank > len(known):
            return None
        found.append(float(known[rank - 1]) * (1 + ROUNDING))
    return tuple(found)


def survival(risks: Array, target: Array) -> Calibration:
    """Return the cumulative baseline hazard at quartiles of the observed times; log risks [N], time and event [N, 2].

    Breslow's estimator (Breslow, discussion of Cox, JRSS B 1972): at each event the hazard rises by one over the sum of
    exp(risk) of those who are at risk.
    """
    times, events = target[:, 0], target[:, 1] > 0
    if not events.any():
        return Calibration()
    asked = np.unique([float(f"{time:.3g}") for time in np.quantile(times, QUARTILES)])
    order = np.argsort(times, kind="stable")
    sums = np.exp(risks[order])[::-1].cumsum()[::-1]  # over those whose time is not less
    at_risk = sums[np.searchsorted(times[order], times)]
    rises = events / at_risk
    hazards = [float(rises[times <= time].sum()) for time in asked]
    return Calibration(times=tuple(asked.tolist()), hazards=tuple(hazards))
