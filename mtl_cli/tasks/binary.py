"""Yes or no."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import MISSING_CLASS, FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task, masked_mean
from mtl_cli.tasks.class_base import (
    ClassWeights,
    checked_gamma,
    checked_smoothing,
    class_labels,
    focal_factor,
    stacked_weights,
    weights_by_class,
)
from mtl_cli.tasks.stack_base import TaskStack, on
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class Binary(Task):
    """One of two classes by one logit: AUC, F1 of class 1, accuracy, log loss, confusion matrix; targets int64 [B].

    The loss of a row is w_y·(1 − p_y)^γ·BCE with the options of `Classification`; smoothing moves a label y to
    y·(1 − ε) + ε/2. `predictions` are of class 1 where its probability is above one half.
    """

    field_kind = "binary"
    primary = "auc"
    calibrates: ClassVar[str | None] = "classes"
    accepts: ClassVar[tuple[str, ...]] = ("class",)
    summary_class: ClassVar[type[LabelSummary]] = ClassCounts
    metric_info: Mapping[str, MetricInfo] = {
        "auc": MetricInfo(needs_different_labels=True),
        "f1": MetricInfo(),
        "accuracy": MetricInfo(),
        "log_loss": MetricInfo(lower_is_better=True),
    }

    def __init__(
        self,
        target: str,
        weight: float,
        label_smoothing: float,
        class_weights: ClassWeights,
        focal_gamma: float,
        head: Head,
        *,
        name: str,
        field: FieldSpec,
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if field.num_classes != 2:
            raise ValueError(
                f"tasks.{name}.target is '{target}', a field of {field.num_classes} classes; a binary task has 2. "
                f"Use tasks.{name}._target_=mtl_cli.tasks.classification.Classification."
            )
        self.label_smoothing = checked_smoothing(label_smoothing, f"tasks.{name}")
        self.focal_gamma = checked_gamma(focal_gamma, f"tasks.{name}")
        self.class_weights = weights_by_class(class_weights, field, f"tasks.{name}")

    @property
    def num_outputs(self) -> int:
        """One logit."""
        return 1

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a row; outputs (logits) [B, 1], target [B]."""
        return masked_mean(self.entry_losses(outputs, target), labelled(target))

    def full_loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a row: 50 µs where `loss` takes 90."""
        return self._losses(outputs, target).mean()

    def labels_of(self, rows: int) -> int | None:
        """Return 1 per row."""
        return rows

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row [B]."""
        return self._losses(outputs, target.clamp(min=0))

    def _losses(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of each row [B]; `truth` are classes."""
        losses = self.cross_entropies(outputs[:, 0], truth)
        if self.class_weights is not None:
            losses = losses * self.class_weights.to(losses.device)[truth]
        return losses

    def cross_entropies(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of each entry before weights of classes, in the shape of logits and their classes."""
        y = smooth = truth.to(logits.dtype)
        if self.label_smoothing:
            smooth = y * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        losses = F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
        if self.focal_gamma:
            plain = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
            losses = losses * focal_factor(plain, self.focal_gamma)
        return losses

    @property
    def form(self) -> Hashable:
        """Smoothing and the focal exponent, where rows have no weights."""
        plain = type(self) is Binary and not self.field.weights
        return (Binary, self.label_smoothing, self.focal_gamma) if plain else None

    def stacked(self, tasks: Sequence[Task]) -> "BinaryStack":
        """Return tasks of one form as one."""
        return BinaryStack([task for task in tasks if isinstance(task, Binary)])

    def likelihood(self) -> str | None:
        """Return "bernoulli", unless the cross-entropy is a changed one."""
        changed = self.label_smoothing or self.focal_gamma or self.class_weights is not None
        return "bernoulli" if type(self).loss is Binary.loss and not changed else None

    def expected(self, target: Tensor) -> Tensor:
        """Return the class [B, 1]."""
        return target.clamp(min=0).float()[:, None]

    def metrics(self) -> "dict[str, Metric]":
        """Return AUC, F1 of class 1, accuracy, log loss and the confusion matrix ("confusion")."""
        from mtl_cli.metrics.auc import AUC
        from mtl_cli.metrics.log_loss import LogLoss
        from mtl_cli.metrics.two_classes import BinaryAccuracy, BinaryConfusion, BinaryF1

        return {
            "auc": AUC(),
            "f1": BinaryF1(),
            "accuracy": BinaryAccuracy(),
            "log_loss": LogLoss(),
            "confusion": BinaryConfusion(),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the probability of class 1 [B]."""
        return outputs[:, 0].sigmoid()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each class [B, 2]."""
        return torch.cat([-outputs, outputs], dim=1).sigmoid()

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the more likely class and the probability of class 1."""
        probability = self.predictions(outputs)
        positive = class_labels(self.field, 2)[1]
        return {
            f"{self.name}_prediction": Coded((probability > 0.5).long(), self.field.class_names),
            f"{self.name}_probability_{positive}": Coded(probability),
        }

    def trivial_outputs(self, summary: ClassCounts) -> Tensor:
        """Return the log odds of class 1 among the training labels [1]."""
        counts = summary.histogram.float()
        return torch.logit((counts[1] / counts.sum()).nan_to_num(0.5), eps=1e-6).reshape(1)


class BinaryStack(TaskStack[Binary]):
    """Yes or no of T tasks."""

    def __init__(self, tasks: Sequence[Binary]) -> None:
        super().__init__(tasks)
        self.class_weights = stacked_weights([task.class_weights for task in tasks], 2)  # [T, 2]

    def prepared(self, target: Tensor) -> Tensor:
        """Return the classes as numbers."""
        return torch.where(target == MISSING_CLASS, torch.nan, target.float())

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry [B, T]."""
        losses = self.tasks[0].cross_entropies(outputs.squeeze(-1), target)
        if self.class_weights is not None:
            no, yes = on(self.class_weights, losses).unbind(dim=1)
            losses = losses * torch.where(target == 1, yes, no)
        return losses

    def metrics(self) -> "dict[str, Metric]":
        """Return AUC, F1 of class 1, accuracy, log loss and the confusion matrix of each task."""
        from mtl_cli.metrics.stack_base import AUCs, Confusions, LogLosses, StackedAccuracy, StackedF1

        size = len(self.tasks)
        return {
            "auc": AUCs(),
            "f1": StackedF1(size),
            "accuracy": StackedAccuracy(size),
            "log_loss": LogLosses(size),
            "confusion": Confusions(size),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the probabilities of class 1 [B, T]."""
        return outputs.squeeze(-1).sigmoid()
