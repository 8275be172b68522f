"""Which items of a group are relevant, such as clicks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task, masked_mean
from mtl_cli.tasks.summary_base import LabelSummary, Totals

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class RelevanceTotals(Totals):
    """The mean relevance; labels are [B, 2], relevance and group."""

    @staticmethod
    def width(field: FieldSpec) -> int:
        """Return 1, the relevance alone."""
        return 1

    def take(self, labels: Tensor, marks: Tensor) -> None:
        """Add up the relevance."""
        super().take(labels[:, :1], marks)

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True for rows [B] with a relevance."""
        return labelled(labels[:, 0])

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a relevance is negative, infinite or a grade among shares, or that a row has no group."""
        rows = labels[labelled(labels[:, 0])]
        wrong = rows[(rows[:, 0] < 0) | rows[:, 0].isinf() | ((rows[:, 0] > 1) & (field.top <= 1)), 0]
        if len(wrong):
            return f"holds the relevance {wrong[0]:g}; it is from 0 to 1 in training, or a grade of 0 or more"
        return "has a row with a relevance but no group" if bool(rows[:, 1].isnan().any()) else None


class Ranking(Task):
    """How relevant a row is: AUC, log loss and NDCG@k by group; targets float32 [B, 2].

    A target is the relevance, from 0 to 1 or a grade such as 1 to 5, and the number of the group (a user, a query).
    Grades are divided by the highest of the training labels (`FieldSpec.top`), so that all are shares from 0 to 1.
    The loss is the pointwise binary cross-entropy of the share, as in McMahan et al., "Ad click prediction: a view from
    the trenches", KDD 2013. NDCG has linear gains, so grades and shares have the same one; AUC takes what is above one
    half for relevant.
    """

    field_kind = "ranking"
    primary = "auc"
    accepts: ClassVar[tuple[str, ...]] = ("ranking",)
    summary_class: ClassVar[type[LabelSummary]] = RelevanceTotals
    metric_info: Mapping[str, MetricInfo] = {
        "auc": MetricInfo(needs_different_labels=True),
        "log_loss": MetricInfo(lower_is_better=True),
        "ndcg": MetricInfo(),
    }

    def __init__(self, target: str, weight: float, k: int, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if k < 1:
            raise ValueError(f"tasks.{name}.k is {k}; NDCG looks at the first k ≥ 1 rows of a group.")
        self.k = k

    @property
    def num_outputs(self) -> int:
        """One logit."""
        return 1

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a row; outputs (logits) [B, 1], target [B, 2]."""
        return masked_mean(self.entry_losses(outputs, target), self.label_marks(target))

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row [B]."""
        return F.binary_cross_entropy_with_logits(outputs[:, 0], self.shares(target).nan_to_num(), reduction="none")

    def shares(self, target: Tensor) -> Tensor:
        """Return the relevance of a target [B, 2] as shares of the highest grade [B]; a higher one is the highest."""
        return target[:, 0] if self.field.top == 1 else (target[:, 0] / self.field.top).clamp(max=1.0)

    def references(self, target: Tensor) -> Tensor:
        """Return shares and groups [B, 2]."""
        return torch.stack([self.shares(target), target[:, 1]], dim=1)

    def metrics(self) -> "dict[str, Metric]":
        """Return AUC, log loss and NDCG@k by group ("ndcg")."""
        from mtl_cli.metrics.auc import AUC
        from mtl_cli.metrics.log_loss import LogLoss
        from mtl_cli.metrics.ndcg import GroupNDCG

        return {"auc": AUC(), "log_loss": LogLoss(), "ndcg": GroupNDCG(self.k)}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the probability of relevance, of grades the expected share of the highest [B]."""
        return outputs[:, 0].sigmoid()

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the probability of relevance, or the expected grade, by which a group's rows are ranked."""
        predictions = self.predictions(outputs)
        if self.field.top == 1:
            return {f"{self.name}_probability": Coded(predictions)}
        return {f"{self.name}_relevance": Coded(predictions * self.field.top)}

    def trivial_outputs(self, summary: Totals) -> Tensor:
        """Return the log odds of the mean relevance of the training labels [1]."""
        return torch.logit((summary.mean / self.field.top).float().nan_to_num(0.5), eps=1e-6)
