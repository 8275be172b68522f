"""Classification into one of several classes, and of how far an image was turned."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

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
    probability_columns,
    stacked_weights,
    weights_by_class,
)
from mtl_cli.tasks.stack_base import TaskStack, on
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

FEW_CLASSES = 10
"""Up to these, the cross-entropies of T tasks are computed across classes: at 3, in 0.4 of the time; at 100, in 3."""


class Classification(Task):
    """One of C classes: cross-entropy, accuracy, macro-F1 and a confusion matrix; targets int64 [B].

    The loss of a row is w_y·(1 − p_y)^γ·CE: `class_weights` w are null (all 1), balanced or a number per class,
    `focal_gamma` is γ (see `mtl_cli.tasks.class_base`), CE the cross-entropy with `label_smoothing` (Szegedy et al.,
    "Rethinking the Inception architecture", CVPR 2016). The mean is over rows. Differs from torch's weighted mean,
    which divides by the weights of the batch: so parts of a batch add up to the whole.

    Macro-F1 averages over the classes that occur among targets or predictions, as torchmetrics defines it.
    """

    field_kind = "class"
    primary = "accuracy"
    calibrates: ClassVar[str | None] = "classes"
    accepts: ClassVar[tuple[str, ...]] = ("class",)
    summary_class: ClassVar[type[LabelSummary]] = ClassCounts
    metric_info: Mapping[str, MetricInfo] = {"accuracy": MetricInfo(), "f1": MetricInfo()}

    def __init__(
        self,
        target: str,
        weight: float,
        label_smoothing: float,
        head: Head,
        class_weights: ClassWeights = None,
        focal_gamma: float = 0.0,
        *,
        name: str,
        field: FieldSpec,
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        self.label_smoothing = checked_smoothing(label_smoothing, f"tasks.{name}")
        self.focal_gamma = checked_gamma(focal_gamma, f"tasks.{name}")
        self.class_weights = weights_by_class(class_weights, field, f"tasks.{name}")

    @property
    def num_outputs(self) -> int:
        """C, the number of classes."""
        return self.field.num_classes

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a row; outputs (logits) [B, C], target [B]."""
        if self.class_weights is None and self.focal_gamma == 0:
            return F.cross_entropy(outputs, target, ignore_index=MISSING_CLASS, label_smoothing=self.label_smoothing)
        return masked_mean(self.entry_losses(outputs, target), labelled(target))

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row [B]."""
        losses = self.cross_entropies(outputs, target)
        if self.class_weights is not None:
            losses = losses * self.class_weights.to(outputs.device)[target.clamp(min=0)]
        return losses

    def cross_entropies(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the losses before weights of classes: of each row, outputs [B, C], or entry, outputs [B, C, T]."""
        smooth = self.label_smoothing
        losses = F.cross_entropy(
            outputs, target, ignore_index=MISSING_CLASS, label_smoothing=smooth, reduction="none"
        )  # [B] or [B, T]
        if self.focal_gamma:
            plain = F.cross_entropy(outputs, target, ignore_index=MISSING_CLASS, reduction="none") if smooth else losses
            losses = losses * focal_factor(plain, self.focal_gamma)
        return losses

    @property
    def form(self) -> Hashable:
        """Smoothing and the focal exponent, where rows have no weights."""
        plain = type(self) is Classification and not self.field.weights
        return (Classification, self.label_smoothing, self.focal_gamma) if plain else None

    def stacked(self, tasks: Sequence[Task]) -> "ClassificationStack":
        """Return tasks of one form as one."""
        return ClassificationStack([task for task in tasks if isinstance(task, Classification)])

    def likelihood(self) -> str | None:
        """Return "categorical", unless the cross-entropy is a changed one."""
        changed = self.label_smoothing or self.focal_gamma or self.class_weights is not None
        return "categorical" if type(self).loss is Classification.loss and not changed else None

    def expected(self, target: Tensor) -> Tensor:
        """Return a 1 for the class [B, C]."""
        one = F.one_hot(target.clamp(min=0), self.num_outputs)
        return (one * labelled(target)[:, None]).float()

    def metrics(self) -> "dict[str, Metric]":
        """Return accuracy, macro-F1 ("f1") and the confusion matrix ("confusion")."""
        from mtl_cli.metrics.classes import Accuracy, Confusion, MacroF1

        classes = self.num_outputs
        return {"accuracy": Accuracy(), "f1": MacroF1(classes), "confusion": Confusion(classes)}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most likely class [B]."""
        return outputs.argmax(dim=-1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each class [B, C]."""
        return outputs.softmax(dim=-1)

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the most likely class and the probability of each."""
        columns = {f"{self.name}_prediction": Coded(self.predictions(outputs), self.field.class_names)}
        labels = class_labels(self.field, self.num_outputs)
        return {**columns, **probability_columns(self.name, labels, outputs.softmax(dim=-1))}

    def trivial_outputs(self, summary: ClassCounts) -> Tensor:
        """Return the log frequencies of the classes [C]: always the most frequent class."""
        return summary.log_frequencies


class Rotation(Classification):
    """Which of four quarter turns an image was given: cross-entropy, accuracy and macro-F1; targets int64 [B].

    Source: Gidaris, Singh, Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", ICLR 2018.
    Differs from the paper: each drawn image is turned once, at random, instead of in all four ways at once. The dataset
    turns training images by itself where a task asks for it; all other tasks learn from the turned images too, with
    their labels turned alike, and are evaluated on images as they are. Training images are square.
    """

    field_kind = "turn"
    accepts: ClassVar[tuple[str, ...]] = ("class",)

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, 0.0, head, name=name, field=field)


class ClassificationStack(TaskStack[Classification]):
    """One of C classes of T tasks; targets int64 [B, T]."""

    def __init__(self, tasks: Sequence[Classification]) -> None:
        super().__init__(tasks)
        self.class_weights = stacked_weights([task.class_weights for task in tasks], tasks[0].num_outputs)  # [T, C]

    def prepared(self, target: Tensor) -> Tensor:
        """Return the classes."""
        return target

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry [B, T]."""
        task, num_classes = self.tasks[0], outputs.shape[2]
        if num_classes <= FEW_CLASSES:
            losses = task.cross_entropies(outputs.transpose(1, 2), target)
        else:
            losses = task.cross_entropies(outputs.flatten(0, 1), target.flatten()).view_as(target)
        if self.class_weights is not None:
            losses = losses * on(self.class_weights, losses).gather(1, target.T).T
        return losses

    def metrics(self) -> "dict[str, Metric]":
        """Return accuracy, macro-F1 and the confusion matrix of each task."""
        from mtl_cli.metrics.stack_base import Stacked

        return {name: Stacked(metric, len(self.tasks)) for name, metric in self.tasks[0].metrics().items()}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most likely classes [B, T]."""
        return outputs.argmax(dim=-1)
