"""What was fitted on validation rows for one task, and how it changes what the task says of new rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec
from mtl_cli.config.annotations import typed
from mtl_cli.tasks.coded_base import Coded

Numbers = tuple[float, ...]
COUNTS = "counts"
"""What tasks calibrate that count boxes: the score from which on a box is one. It is fitted at the end of training."""


class Calibratable(Protocol):
    """What is needed of a task."""

    name: str
    field: FieldSpec
    calibrates: ClassVar[str | None]

    @property
    def num_outputs(self) -> int:
        """Width of the head's output."""
        ...

    def coded(self, outputs: Any) -> dict[str, Coded]:  # noqa: ANN401  an Output of the head
        """Return the columns of a batch."""
        ...

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return probabilities of classes or labels [B, C]."""
        ...

    def predictions(self, outputs: Any) -> Tensor:  # noqa: ANN401  an Output of the head
        """Return numbers in the target's own unit."""
        ...


@dataclass(frozen=True)
class Calibration:
    """Plain data of one task; what is None was not asked for, or the kind of task has no use for it.

    Args:
        temperature: what outputs are divided by before they become probabilities.
        decision: of classes: how good it is [C, C] to predict the second where the first is true. The class of the
            highest expectation is predicted; with one number per class on the diagonal it is a weight of the class.
        thresholds: of labels: the probability [C] above which each is predicted; of boxes the lowest score [1].
        lowest: of classes: a class is in the set of a row where its probability is at least this.
        margins: of numbers: half the length of the interval around a prediction, per column.
        coverage: the share of rows whose set or interval is to hold the truth.
        times: of survival: the times whose probability to live beyond them is told.
        hazards: of survival: the cumulative baseline hazard at each of these times.
    """

    temperature: float = 1.0
    decision: tuple[Numbers, ...] | None = None
    thresholds: Numbers | None = None
    lowest: float | None = None
    margins: Numbers | None = None
    coverage: float | None = None
    times: Numbers | None = None
    hazards: Numbers | None = None

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint or a bundle."""
        plain = asdict(self)
        plain["decision"] = None if self.decision is None else [list(row) for row in self.decision]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Calibration":
        """Return what `state` wrote.

        Raises:
            ValueError: a value is of another type.
        """
        found = typed(cls, state)
        if not found.temperature > 0:
            raise ValueError(f"Calibration.temperature is {found.temperature}")
        if len(found.times or ()) != len(found.hazards or ()):
            raise ValueError(f"Calibration.times are {found.times}, hazards {found.hazards}")
        return found if found.decision is None else replace(found, decision=tuple(map(tuple, found.decision)))

    def problem(self, task: Calibratable) -> str | None:
        """Return that the numbers are not as many as a task's classes or columns, in words, or None."""
        classes = task.field.num_classes
        sizes = {"classes": classes, "labels": task.num_outputs, "numbers": task.num_outputs, COUNTS: 1}
        wanted = sizes.get(task.calibrates or "", 0)
        lists = [each for each in (self.decision, self.thresholds, self.margins) if each is not None]
        if any(len(each) != wanted for each in (*lists, *(self.decision or ()))):
            return f"the calibration of '{task.name}' is not one of {wanted} classes or columns"
        return None

    def columns(self, task: Calibratable, outputs: Tensor) -> dict[str, Coded]:
        """Return the columns of a task, calibrated, and further ones of sets or intervals; outputs [B, num_outputs].

        Only tensor operations: it may be part of an exported graph.
        """
        scaled = outputs / self.temperature if self.temperature != 1.0 else outputs
        columns = task.coded(scaled)
        if task.calibrates == "survival":
            living = self.survival(outputs[:, 0])
            curves = [f"{task.name}_survival_{time:g}" for time in self.times or ()]
            return {**columns, **{name: Coded(living[:, index]) for index, name in enumerate(curves)}}
        if task.calibrates == "numbers":
            return {**columns, **self._intervals(task, scaled, columns)}
        probabilities = task.probabilities(scaled)
        predicted = [name for name in columns if name.startswith(f"{task.name}_prediction")]
        if task.calibrates == "labels" and self.thresholds is not None:
            for index, name in enumerate(predicted):
                columns[name] = changed(columns[name], (probabilities[:, index] > self.thresholds[index]).long())
        if task.calibrates == "classes" and self.decision is not None:
            columns[predicted[0]] = changed(columns[predicted[0]], self.decided(probabilities))
        if task.calibrates == "classes" and self.lowest is not None:
            names = task.field.class_names or tuple(map(str, range(task.field.num_classes)))
            inside = (probabilities >= self.lowest).long()
            for index, name in enumerate(names):
                columns[f"{task.name}_set_{name}"] = Coded(inside[:, index])
        return columns

    def decided(self, probabilities: Tensor) -> Tensor:
        """Return the class [B] of the highest expectation; probabilities [B, C]."""
        if self.decision is None:
            return probabilities.argmax(dim=1)
        return (
            probabilities @ torch.tensor(self.decision, dtype=probabilities.dtype, device=probabilities.device)
        ).argmax(dim=1)

    def survival(self, risks: Tensor) -> Tensor:
        """Return the probability to live beyond each of the times [B, number of times]; log risks [B]."""
        hazards = torch.tensor(self.hazards or (), dtype=risks.dtype, device=risks.device)
        return torch.exp(-hazards * risks.exp().unsqueeze(1))

    def _intervals(self, task: Calibratable, outputs: Tensor, columns: Mapping[str, Coded]) -> dict[str, Coded]:
        if self.margins is None:
            return {}
        found = {}
        values = task.predictions(outputs).reshape(outputs.shape[0], -1)
        predicted = [name for name in columns if name.startswith(f"{task.name}_prediction")]
        for index, (name, margin) in enumerate(zip(predicted, self.margins, strict=True)):
            rest = name.removeprefix(f"{task.name}_prediction")
            low = values[:, index] - margin
            if task.field.kind == "count":
                low = low.clamp(min=0.0)
            found[f"{task.name}_low{rest}"] = changed(columns[name], low)
            found[f"{task.name}_high{rest}"] = changed(columns[name], values[:, index] + margin)
        return found


def changed(column: Coded, numbers: Tensor) -> Coded:
    """Return a column with other numbers, which stand for the same names."""
    return Coded(numbers, column.names)
