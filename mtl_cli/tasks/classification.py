"""Classification into one of several classes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import MISSING_CLASS, FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.tasks.base import MetricInfo, Task

if TYPE_CHECKING:
    from torchmetrics import Metric


class Classification(Task):
    """One of C classes: cross-entropy, accuracy, macro-F1 and a confusion matrix; targets int64 [B].

    Macro-F1 averages over the classes that occur among targets or predictions, as torchmetrics defines it.
    """

    primary = "accuracy"
    metric_info: Mapping[str, MetricInfo] = {"accuracy": MetricInfo(), "f1": MetricInfo()}

    def __init__(
        self, target: str, weight: float, label_smoothing: float, head: Head, *, name: str, field: FieldSpec
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"tasks.{name}.label_smoothing is {label_smoothing}; it lies in [0, 1).")
        if field.kind != "class":
            raise ValueError(f"tasks.{name}.target is '{target}', a field of kind {field.kind}; classes are needed.")
        self.label_smoothing = label_smoothing

    @property
    def num_outputs(self) -> int:
        """C, the number of classes."""
        return self.field.num_classes

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy; outputs (logits) [B, C], target [B]."""
        return F.cross_entropy(outputs, target, ignore_index=MISSING_CLASS, label_smoothing=self.label_smoothing)

    def metrics(self) -> "dict[str, Metric]":
        """Return accuracy, macro-F1 ("f1") and the confusion matrix ("confusion")."""
        from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassF1Score

        classes = self.num_outputs
        return {
            "accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "f1": MulticlassF1Score(classes, average="macro", validate_args=False),
            "confusion": MulticlassConfusionMatrix(classes, validate_args=False),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most likely class [B]."""
        return outputs.argmax(dim=-1)

    def trivial_outputs(self, train_targets: Tensor) -> Tensor:
        """Return the log frequencies of the classes [C]: always the most frequent class."""
        present = train_targets[labelled(train_targets)]
        counts = torch.bincount(present, minlength=self.num_outputs).float()
        return torch.log((counts + 1e-6) / counts.sum().clamp(min=1.0))
