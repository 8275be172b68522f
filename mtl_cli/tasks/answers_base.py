"""What a task says of new rows, in the target's own terms: columns, files, graphs and sheets of samples."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec
from mtl_cli.report.shown import Shown
from mtl_cli.tasks.calibration_base import Calibration
from mtl_cli.tasks.coded_base import Coded
from mtl_cli.tasks.predictions_base import Columns, Predictions


class Answering(ABC):
    """How the outputs of a task's head are read, for mtl-predict, mtl-export and sheets of samples."""

    name: str
    field: FieldSpec
    """What the target is."""
    calibrates: ClassVar[str | None] = None
    """What can be fitted on validation rows so that probabilities and decisions are honest: of "classes", one of which
    is true, of "labels", or of "numbers", whose `predictions` are in the target's own unit; None: nothing."""
    calibration: Calibration | None = None
    """What was fitted for this task, where a checkpoint has it."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Width of the head's output."""

    @abstractmethod
    def predictions(self, outputs: Any) -> Tensor:  # noqa: ANN401  an Output of the head
        """Return what metrics compare with the target, such as probabilities [B, C]."""

    def coded(self, outputs: Any) -> dict[str, Coded]:  # noqa: ANN401  an Output of the head
        """Return predictions and probabilities in the target's own terms as tensors, by the name of their column.

        The names begin with the task's; outputs are [B, num_outputs]. What happens here is part of the graph that
        mtl-export writes. A kind of task without columns of numbers extends `decode` or `write` instead.
        """
        raise NotImplementedError(f"{type(self).__name__} has no columns of numbers")

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return probabilities [B, C]: of classes, which sum to 1, or of labels; see `calibrates`."""
        raise NotImplementedError(f"{type(self).__name__} has no probabilities of classes")

    def columns(self, outputs: Any) -> dict[str, Coded]:  # noqa: ANN401  an Output of the head
        """Return the columns of `coded`; of a calibrated task by what was fitted on validation rows."""
        return self.coded(outputs) if self.calibration is None else self.calibration.columns(self, outputs)

    def decode(self, outputs: Any) -> Columns:  # noqa: ANN401  an Output of the head
        """Return the `columns`, with names in the place of numbers of classes, for mtl-predict."""
        return {name: column.decoded() for name, column in self.columns(outputs).items()}

    def in_graph(self, outputs: Any, size: tuple[int, int] | None) -> Tensor:  # noqa: ANN401  an Output of the head
        """Return what a graph of mtl-export gives that is not columns: maps in the `size` of the input, or boxes."""
        raise NotImplementedError(f"{type(self).__name__} has nothing that a graph can hold")

    def after_graph(self) -> dict[str, Any] | None:
        """Return, as plain data, how `in_graph` is read (`mtl_cli.bundles.after`); None where graphs cannot hold it."""
        return None

    writes_files: ClassVar[bool] = False
    """Whether `write` makes files, such as images, so that mtl-predict writes into a folder."""

    prints_samples: ClassVar[bool] = False
    """Whether mtl-eval prints some rows with truth and prediction (`shown`), such as texts that are written."""

    def write(self, outputs: Any, predictions: Predictions) -> None:  # noqa: ANN401  an Output of the head
        """Add what the outputs of a batch of rows say to their predictions: columns, files per row, or both."""
        predictions.columns |= self.decode(outputs)

    def columns_of_no_rows(self) -> Columns:
        """Return the columns that `write` adds, without a row."""
        if self.writes_files:
            return {}
        return {name: values[:0] for name, values in self.decode(torch.zeros(1, self.num_outputs)).items()}

    def shown(self, target: Tensor | None, outputs: Any) -> "tuple[Shown | None, Shown | None]":  # noqa: ANN401
        """Return truth and prediction of one row for a sheet of samples; target and outputs of one row, [1, ...].

        By default the words of `decode`; tasks on pixels give pictures. Without a target the truth is None.
        """
        values = next(iter(self.decode(outputs).values()), None)
        return self.shown_target(target), None if values is None else Shown(in_words(values[0]))

    def shown_target(self, target: Tensor | None) -> "Shown | None":
        """Return the truth of one row in words: the name of a class, or numbers."""
        if target is None:
            return None
        value = target[0]
        if value.ndim == 0 and not value.is_floating_point() and self.field.class_names:
            return Shown(self.field.class_names[int(value)])
        return Shown(", ".join(in_words(each) for each in value.flatten()[:6].tolist()))


def in_words(value: object) -> str:
    """Return a value as a sheet of samples shows it."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
