"""What a calibration is worth on rows that it was not fitted on."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtl_cli.report.tables import number, table
from mtl_cli.runs.calibration.decisions import score
from mtl_cli.runs.calibration.fitting import log_likelihood
from mtl_cli.runs.calibration.listening import LabelledOutputs
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.calibration_base import Calibration

Array = np.ndarray[Any, Any]
BINS = 15


def calibration_error(confidence: Array, right: Array) -> float:
    """Return the expected calibration error: the mean distance of confidence and accuracy over bins of confidence.

    Guo et al., ICML 2017, equation 3, with 15 bins of equal width; confidence and whether it was right, each [N].
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    gap = np.bincount(bins, confidence, BINS) - np.bincount(bins, right.astype(float), BINS)
    return float(np.abs(gap).sum() / max(1, count.sum()))


def checked(task: Task, rows: LabelledOutputs, found: Calibration) -> dict[str, float]:
    """Return how good a task is on some rows before and after: each measure as "<measure>" and "<measure>_calibrated".

    Of classes: calibration error, log loss, accuracy and F1, the share of rows whose set holds the truth (coverage) and
    its mean size. Of labels: the same over all entries, without sets. Of numbers: coverage and length of intervals.
    Of survival: the largest distance of the mean curve from that of Kaplan and Meier.
    """
    if task.calibrates == "numbers":
        return interval_check(task, rows, found)
    if task.calibrates == "survival":
        return survival_check(rows, found)
    values: dict[str, float] = {}
    truth = task.references(rows.target).numpy()
    for suffix, one in (("", Calibration()), ("_calibrated", found)):
        probabilities = task.probabilities(rows.outputs.double() / one.temperature)
        values[f"log_loss{suffix}"] = -log_likelihood(task, rows, one.temperature)
        if task.calibrates == "labels":
            known = truth >= 0
            cuts = np.array(one.thresholds or [0.5] * truth.shape[1])
            entries, labels = probabilities.numpy()[known], truth[known]
            predicted = (probabilities.numpy() > cuts)[known]
            values[f"ece{suffix}"] = calibration_error(entries, labels)
            values[f"accuracy{suffix}"] = float((predicted == labels).mean())
            continue
        own = one.decided(probabilities) if one.decision else task_decision(task, rows, one.temperature)
        likeliest = probabilities.argmax(dim=1).numpy()
        values[f"ece{suffix}"] = calibration_error(probabilities.amax(dim=1).numpy(), likeliest == truth)
        for metric in ("accuracy", "f1"):
            values[f"{metric}{suffix}"] = score(own.numpy(), truth, probabilities.shape[1], metric)
    if found.lowest is not None:
        inside = task.probabilities(rows.outputs.double() / found.temperature).numpy() >= found.lowest
        values["coverage"] = float(inside[np.arange(len(truth)), truth].mean())
        values["set_size"] = float(inside.sum(axis=1).mean())
    return values


def task_decision(task: Task, rows: LabelledOutputs, temperature: float) -> Any:  # noqa: ANN401  a tensor of classes
    """Return the classes [N] that a task itself says."""
    columns = task.coded(rows.outputs / temperature)
    return next(column.numbers for name, column in columns.items() if name.startswith(f"{task.name}_prediction"))


def interval_check(task: Task, rows: LabelledOutputs, found: Calibration) -> dict[str, float]:
    """Return coverage and mean length of the intervals of numbers."""
    if found.margins is None:
        return {}
    predicted = task.predictions(rows.outputs).reshape(len(rows.outputs), -1).double().numpy()
    truth = task.references(rows.target).reshape(predicted.shape).double().numpy()
    known = ~np.isnan(truth)
    inside = np.abs(predicted - truth) <= np.array(found.margins)
    return {"coverage": float(inside[known].mean()), "length": 2 * float(np.mean(found.margins))}


def survival_check(rows: LabelledOutputs, found: Calibration) -> dict[str, float]:
    """Return how far the mean of the survival curves is from Kaplan and Meier's estimate, at most."""
    if not found.times:
        return {}
    times, events = rows.target.double().numpy().T
    moments, places = np.unique(times, return_inverse=True)
    ended = np.bincount(places, events > 0)
    at_risk = len(times) - np.searchsorted(np.sort(times), moments)
    curve = np.cumprod(1 - ended / at_risk)
    mean = found.survival(rows.outputs[:, 0].double()).mean(dim=0).numpy()
    last = np.searchsorted(moments, np.array(found.times), side="right") - 1
    expected = np.where(last >= 0, curve[last.clip(min=0)], 1.0)
    return {"survival_error": float(np.abs(mean - expected).max())}


def check_table(checks: Mapping[str, Mapping[str, float]], found: Mapping[str, Calibration], title: str) -> str:
    """Return a table of what calibrations are worth: a row before and one after for each task."""
    names = list(dict.fromkeys(name.removesuffix("_calibrated") for check in checks.values() for name in check))
    rows = [[title, "temperature", *names]]
    for task, check in checks.items():
        both = any(name.endswith("_calibrated") for name in check)
        if both:
            before = [number(check[name]) if f"{name}_calibrated" in check else "" for name in names]
            rows.append([task, "1", *[value or "" for value in before]])
        after = [check.get(f"{name}_calibrated", check.get(name, math.nan)) for name in names]
        label = "  calibrated" if both else task
        rows.append([label, f"{found[task].temperature:g}" if both else "–", *map(number, after)])
    return table(rows)
