"""Figures of what an evaluation says row by row: of probabilities for classes and labels, of residuals for numbers."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.runs.calibration.listening import LabelledOutputs
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.calibration_base import Calibration
from mtl_cli.tasks.class_base import class_labels
from mtl_cli.training.evaluate import Watcher


class Watchers:
    """Several watchers of one evaluation."""

    def __init__(self, *watchers: Watcher | None) -> None:
        self._watchers = [each for each in watchers if each is not None]

    def update(self, dataset: str, rows: Tensor, batch: Batch, out: Outputs) -> None:
        """Let each take in the outputs of rows."""
        for each in self._watchers:
            each.update(dataset, rows, batch, out)


def draw_rows(
    folder: Path,
    split: str,
    tasks: Mapping[str, Task],
    told: Mapping[str, LabelledOutputs],
    shown: Collection[str],
    calibrations: Mapping[str, Calibration],
) -> list[Path]:
    """Draw `probabilities_<task>.png` or `residuals_<task>.png` for each shown task that has one; return the files.

    Raises:
        RunFailure: a file cannot be written.
    """
    paths = []
    for name, each in told.items():
        task = tasks[name]
        if name not in shown or not len(each.target) or task.calibrates not in ("classes", "labels", "numbers"):
            continue
        title = f"{name}, {split}, {len(each.target)} rows"
        if task.calibrates == "numbers":
            paths.append(_draw_numbers(folder, title, task, each))
        else:
            paths.append(_draw_probabilities(folder, title, task, each, calibrations.get(name, task.calibration)))
    return paths


def _draw_probabilities(
    folder: Path, title: str, task: Task, told: LabelledOutputs, calibration: Calibration | None
) -> Path:
    """Draw what is said of classes or labels; reliability also as it is after calibration, where there is one."""
    from mtl_cli.report.probabilities import (
        Judged,
        confidence,
        draw_probabilities,
        judged_classes,
        judged_labels,
        pooled,
    )

    truth = task.references(told.target).numpy()

    def said(temperature: float) -> tuple[list[Judged], Judged]:
        probabilities = task.probabilities(told.outputs / temperature).double().numpy()
        names = class_labels(task.field, probabilities.shape[1])
        if task.calibrates == "labels":
            labels = judged_labels(probabilities, truth, names)
            return labels, pooled("all labels", probabilities, truth)
        classes = judged_classes(probabilities, truth, names)
        return classes, classes[0] if len(classes) == 1 else confidence(probabilities, truth)

    judged, raw = said(1.0)
    every: Sequence[Judged] = [raw]
    if calibration is not None and calibration.temperature != 1.0:
        after = said(calibration.temperature)[1]
        every = [raw, Judged("calibrated", after.probabilities, after.truth)]
    path = folder / f"probabilities_{task.name}.png"
    draw_probabilities(path, title, judged, every)
    return path


def _draw_numbers(folder: Path, title: str, task: Task, told: LabelledOutputs) -> Path:
    from mtl_cli.report.residuals import draw_residuals

    predicted = task.predictions(told.outputs).reshape(len(told.outputs), -1).double().numpy()
    true = task.references(told.target).reshape(predicted.shape).double().numpy()
    path = folder / f"residuals_{task.name}.png"
    draw_residuals(path, title, predicted, true, class_labels(task.field, predicted.shape[1]))
    return path
