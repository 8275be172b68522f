"""Time to an event, for some rows cut off before it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task
from mtl_cli.tasks.summary_base import LabelSummary

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class Survivals(LabelSummary):
    """Rows with both time and event; labels are [B, 2]."""

    @staticmethod
    def marks(labels: Tensor) -> Tensor:
        """True for rows [B] with both time and event."""
        return labelled(labels).all(dim=1)

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a time is negative or infinite, or an event neither 0 nor 1."""
        rows = labels[labelled(labels).all(dim=1)]
        wrong = rows[(rows[:, 0] < 0) | rows[:, 0].isinf(), 0]
        if len(wrong):
            return f"holds the time {wrong[0]:g}; a time is 0 or more"
        wrong = rows[(rows[:, 1] != 0) & (rows[:, 1] != 1), 1]
        if len(wrong):
            return f"holds the event {wrong[0]:g}; it is 1, or 0 where the row was censored"
        return None


class Survival(Task):
    """Risk by Cox's proportional hazards: Harrell's concordance; targets float32 [B, 2]: time and event (1) or not (0).

    Cox, "Regression models and life-tables", JRSS B 1972: the negative log partial likelihood, ties by Breslow,
    "Covariance analysis of censored survival data", Biometrics 1974; averaged over the events of the batch, as in
    Katzman et al., "DeepSurv", BMC Medical Research Methodology 2018. The output is the logarithm of the hazard ratio.

    The risk set of an event is what the batch holds of it, so the loss is not a sum over rows. It depends on the size
    of the batch: larger ones are nearer to the whole likelihood, and `trainer.accumulate` is not the same as a batch
    that much larger. A batch without an event has loss 0.
    """

    field_kind = "survival"
    primary = "concordance"
    calibrates: ClassVar[str | None] = "survival"
    accepts: ClassVar[tuple[str, ...]] = ("survival",)
    summary_class: ClassVar[type[LabelSummary]] = Survivals
    adds_up: ClassVar[bool] = False
    metric_info: Mapping[str, MetricInfo] = {"concordance": MetricInfo(needs_different_labels=True)}

    @property
    def num_outputs(self) -> int:
        """One, the log risk."""
        return 1

    def weighted_loss(self, outputs: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        """Return the mean over events of w·(log Σ w·exp(risk) − risk), the likelihood with case weights."""
        return self._likelihood(outputs, target, weights)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean over events of log Σ exp(risk over those at risk) − risk; outputs [B, 1], target [B, 2]."""
        return self._likelihood(outputs, target, None)

    def _likelihood(self, outputs: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        marks = self.label_marks(target)
        time = torch.where(marks, target[:, 0], -torch.inf)
        event = (marks & (target[:, 1] > 0.5)).to(outputs.dtype)
        order = torch.argsort(time, descending=True, stable=True)
        lowest = torch.finfo(outputs.dtype).min
        risk = outputs[:, 0]
        share = risk if weights is None else risk + weights.log().clamp(min=lowest / 2)
        at_risk = torch.where(marks, share, lowest)[order].logcumsumexp(dim=0)
        latest = torch.searchsorted(-time[order], -time[order], right=True) - 1  # those tied with a row are at risk too
        losses = (at_risk[latest] - torch.where(marks, risk, 0.0)[order]) * event[order]
        if weights is not None:
            losses = losses * weights[order]
        return losses.sum() / event.sum().clamp(min=1.0)

    def metrics(self) -> "dict[str, Metric]":
        """Return Harrell's concordance."""
        from mtl_cli.metrics.concordance import Concordance

        return {"concordance": Concordance()}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the log risk [B]."""
        return outputs[:, 0]

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the log risk: a difference of 1 between two rows is a hazard e times as high."""
        return {f"{self.name}_risk": Coded(self.predictions(outputs))}

    def trivial_outputs(self, summary: LabelSummary) -> Tensor:
        """Return the same risk for all [1]."""
        return torch.zeros(1)
