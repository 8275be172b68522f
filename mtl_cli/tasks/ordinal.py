"""Classes in order, such as ratings."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task, masked_mean
from mtl_cli.tasks.class_base import class_labels, probability_columns
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class Ordinal(Task):
    """One of C ordered classes: accuracy, mean absolute error in ranks, quadratic weighted kappa; targets int64 [B].

    Shi, Cao, Raschka, "Deep neural networks for rank-consistent ordinal regression based on conditional probabilities"
    (CORN), Pattern Analysis and Applications 2023, equation 8: output k is the logit of P(y > k | y ≥ k), so that
    P(y > k) = Πⱼ≤ₖ σ(outputⱼ) falls with k whatever the outputs are. The prediction is the number of k with
    P(y > k) > 1/2, the median. Differs from CORN: the loss is divided by the rows rather than by the sizes of the
    conditional subsets, which makes it the mean negative log-likelihood of the continuation-ratio model (Fienberg, "The
    analysis of cross-classified categorical data", 1980), and parts of a batch add up to the whole.
    """

    field_kind = "ordinal"
    primary = "qwk"
    calibrates: ClassVar[str | None] = "classes"
    accepts: ClassVar[tuple[str, ...]] = (
        "ordinal",
        "class",
    )
    summary_class: ClassVar[type[LabelSummary]] = ClassCounts
    metric_info: Mapping[str, MetricInfo] = {
        "accuracy": MetricInfo(),
        "mae": MetricInfo(lower_is_better=True),
        "qwk": MetricInfo(),
    }

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if field.num_classes < 2:
            raise ValueError(
                f"tasks.{name}.target is '{target}', with {field.num_classes} classes; 2 or more are needed."
            )

    @property
    def num_outputs(self) -> int:
        """C − 1, the number of thresholds."""
        return self.field.num_classes - 1

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a row; outputs [B, C − 1], target [B]."""
        return masked_mean(self.entry_losses(outputs, target), labelled(target))

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row [B]."""
        threshold = torch.arange(self.num_outputs, device=outputs.device)
        truth = target.unsqueeze(1)  # [B, 1]
        passed = (truth > threshold).to(outputs.dtype)
        losses = F.binary_cross_entropy_with_logits(outputs, passed, reduction="none")
        return torch.where(truth >= threshold, losses, 0.0).sum(dim=1)

    def metrics(self) -> "dict[str, Metric]":
        """Return accuracy, mean absolute error in ranks, quadratic weighted kappa and the confusion matrix."""
        from mtl_cli.metrics.classes import Accuracy, Confusion, QuadraticKappa, RankError

        classes = self.field.num_classes
        return {
            "accuracy": Accuracy(),
            "mae": RankError(),
            "qwk": QuadraticKappa(classes),
            "confusion": Confusion(classes),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the median rank [B]."""
        return (self._log_beyond(outputs).exp() > 0.5).sum(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each class [B, C]."""
        beyond = self._log_beyond(outputs)
        reach = F.pad(beyond, (1, 0))  # log P(y ≥ k), k = 0 … C − 1
        stop = F.pad(F.logsigmoid(-outputs), (0, 1))
        return (reach + stop).exp()

    @staticmethod
    def _log_beyond(outputs: Tensor) -> Tensor:
        """Return log P(y > k) for each threshold [B, C − 1]; a product, for sums along a row are random on a GPU."""
        return F.logsigmoid(outputs) @ outputs.new_ones(outputs.shape[1], outputs.shape[1]).triu()

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the median class and the probability of each."""
        columns = {f"{self.name}_prediction": Coded(self.predictions(outputs), self.field.class_names)}
        labels = class_labels(self.field, self.field.num_classes)
        return {**columns, **probability_columns(self.name, labels, self.probabilities(outputs))}

    def trivial_outputs(self, summary: ClassCounts) -> Tensor:
        """Return the log odds of passing each threshold among the training labels that reach it [C − 1]."""
        counts = summary.histogram.float()
        reach = counts.flip(0).cumsum(0).flip(0)
        return torch.logit((reach[1:] / reach[:-1].clamp(min=1.0)), eps=1e-6)
