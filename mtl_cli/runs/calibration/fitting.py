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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.errors import UserError
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
from mtl_cli.runs.calibration.decisions import best_thresholds, best_weights
from mtl_cli.runs.calibration.wish import Costs, Wish
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.calibration_base import Calibration
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.evaluate import evaluate_model
from mtl_cli.training.loading import Stream

Array = np.ndarray[Any, Any]
ROUNDING = 1e-6
"""What sets and intervals are wider by, so that a row at their edge stays in them in float32."""
QUARTILES = (0.25, 0.5, 0.75)
"""Shares of the observed times that survival is told at."""
JOINED = 256
"""Batches whose rows are joined: a small tensor takes a kilobyte beside its numbers."""
LARGEST = 20.0
"""Temperatures are from 1/20 to 20."""


@dataclass(frozen=True)
class Told:
    """What a model says of the labelled rows of a split for one task: outputs [N, num_outputs] and targets [N, ...]."""

    outputs: Tensor
    target: Tensor


class Kept:
    """Outputs and targets of one task's labelled rows, in few tensors.

    Beyond `most` bytes they are those of every second row, every fourth and so on.
    """

    def __init__(self, most: float) -> None:
        self._most, self._step, self._seen = most, 1, 0
        self._joined: list[tuple[Tensor, Tensor]] = []
        self._new: list[tuple[Tensor, Tensor]] = []

    def add(self, outputs: Tensor, target: Tensor) -> None:
        """Take in rows."""
        first, self._seen = -self._seen % self._step, self._seen + len(target)
        self._new.append((outputs[first :: self._step], target[first :: self._step]))
        if len(self._new) == JOINED:
            self._joined.append(self._joining(self._new))
            self._new = []
            while sum(part.nbytes for pair in self._joined for part in pair) > self._most:
                outputs, target = self._joining(self._joined)
                self._joined, self._step = [(outputs[::2].clone(), target[::2].clone())], 2 * self._step

    def told(self) -> Told:
        """Return what was kept."""
        return Told(*self._joining([*self._joined, *self._new]))

    @staticmethod
    def _joining(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        return torch.cat([outputs for outputs, _ in pairs]), torch.cat([target for _, target in pairs])


class Listener:
    """Keeps what a model says of a split, on the CPU: a few numbers per row and task.

    Args:
        tasks: of which those are watched that can be calibrated.
        most: bytes for each task; beyond them `Kept` leaves rows out.
    """

    def __init__(self, tasks: Mapping[str, Task], most: float = math.inf) -> None:
        self.tasks = {name: task for name, task in tasks.items() if task.calibrates}
        self._most = most
        self._kept: dict[str, Kept] = {}

    def update(self, dataset: str, rows: Tensor, batch: Batch, out: Outputs) -> None:
        """Take in the outputs of rows."""
        for name, target in batch.targets.items():
            outputs = out.predicted(name)
            if name in self.tasks and isinstance(outputs, Tensor):
                keep = self.tasks[name].labelled_rows(target)
                self._kept.setdefault(name, Kept(self._most)).add(outputs[keep].cpu(), target[keep].cpu())

    def told(self) -> dict[str, Told]:
        """Return what was kept, by task."""
        return {name: kept.told() for name, kept in self._kept.items()}


def listen(
    model: MultiTaskModel, tasks: Mapping[str, Task], streams: Mapping[str, Stream], arithmetic: Arithmetic
) -> dict[str, Told]:
    """Return what a model says of a split, for the tasks that can be calibrated."""
    listener = Listener(tasks)
    evaluate_model(model, tasks, streams, arithmetic, watcher=listener)
    return listener.told()


def calibrate(tasks: Mapping[str, Task], told: Mapping[str, Told], wish: Wish) -> dict[str, Calibration]:
    """Return what is fitted for each task that can be calibrated, from what a model says of validation rows.

    Raises:
        UserError: the wish names a task that cannot be calibrated, or costs of another number of classes.
    """
    check_wish(tasks, told, wish)
    return {name: calibrated(tasks[name], each, wish) for name, each in told.items()}


def check_wish(tasks: Mapping[str, Task], told: Mapping[str, Told], wish: Wish) -> None:
    """Refuse a wish that no task can fulfil.

    Raises:
        UserError: all that is wrong.
    """
    classes = [name for name in told if tasks[name].calibrates in ("classes", "labels")]
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
                told_sizes = ", ".join(f"{task} has {size}" for task, size in sizes.items()) or "no task has classes"
                problems.append(f"thresholds has costs of {len(wanted)} classes; {told_sizes}.")
    if not told:
        kinds = "classes, labels, numbers or survival times"
        problems.append(f"No task of this run can be calibrated: none has {kinds} per row.")
    if problems:
        raise UserError(problems)


def calibrated(task: Task, told: Told, wish: Wish) -> Calibration:
    """Return what is fitted for one task."""
    if task.calibrates == "survival":
        return survival(told.outputs[:, 0].double().numpy(), told.target.double().numpy())
    if task.calibrates == "numbers":
        return Calibration(margins=margins(task, told, wish.coverage), coverage=wish.coverage)
    temperature = best_temperature(task, told)
    probabilities = task.probabilities(told.outputs.double() / temperature).numpy()
    wanted = wish.of(task.name)
    if task.calibrates == "labels":
        thresholds = None
        if isinstance(wanted, str):
            thresholds = best_thresholds(probabilities, task.references(told.target).numpy(), wanted)
        return Calibration(temperature, thresholds=thresholds)
    truth = task.references(told.target).numpy()
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


def log_likelihood(task: Task, told: Told, temperature: float) -> float:
    """Return the mean log-likelihood of the labels at a temperature."""
    probabilities = task.probabilities(told.outputs.double() / temperature).clamp(1e-300, 1.0)
    truth = task.references(told.target)
    if task.calibrates == "labels":
        absent = (1.0 - probabilities).clamp(min=1e-300)
        marks = truth >= 0
        values = torch.where(truth == 1, probabilities, absent).log()
        return float(values[marks].mean())
    return float(probabilities.gather(1, truth[:, None]).log().mean())


def best_temperature(task: Task, told: Told) -> float:
    """Return the temperature of the highest likelihood, by golden section over its logarithm.

    The negative logarithm of the likelihood is convex in 1/T for probabilities that are a softmax or sigmoid of
    outputs/T, and so it has one minimum over log T too.
    """
    low, high, ratio = -math.log(LARGEST), math.log(LARGEST), (math.sqrt(5) - 1) / 2

    def value(logarithm: float) -> float:
        return log_likelihood(task, told, math.exp(logarithm))

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


def margins(task: Task, told: Told, coverage: float) -> tuple[float, ...] | None:
    """Return half the length of the interval of each column, None with too few rows for the coverage."""
    predicted = task.predictions(told.outputs).reshape(len(told.outputs), -1).double()
    errors = (predicted - task.references(told.target).reshape(predicted.shape).double()).abs().numpy()
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
