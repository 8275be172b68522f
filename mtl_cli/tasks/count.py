"""Counts, by Poisson regression."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task, masked_mean
from mtl_cli.tasks.summary_base import LabelSummary, Totals

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

LIMIT = 20.0
"""Outputs beyond ± LIMIT stand for rates e^±LIMIT of the mean; there the loss is linear, its gradient finite."""


class CountTotals(Totals):
    """The mean count of the training split; counts are 0 or more."""

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that a label is negative or infinite."""
        wrong = labels[labelled(labels) & ((labels < 0) | labels.isinf())]
        return f"holds {wrong[0]:g}; a count is 0 or more" if len(wrong) else None

    def spec(self) -> FieldSpec:
        """Return the spec with the mean count, where the dataset does not say it and it is above 0."""
        mean = float(self.mean[0])
        return replace(self.field, mean=(mean,)) if not self.field.mean and mean > 0 else self.field


class Count(Task):
    """A count y ≥ 0 by its rate μ = m·exp(output): mean Poisson deviance and MAE; targets float32 [B].

    The loss is the negative log-likelihood of Poisson regression (Nelder & Wedderburn, "Generalized linear models",
    JRSS A 1972) but for a constant, divided by m, the mean count of the training split: (μ − y·output)/m. So a count
    of thousands weighs no more beside other tasks than one of a few.
    """

    field_kind = "count"
    primary = "deviance"
    calibrates: ClassVar[str | None] = "numbers"
    accepts: ClassVar[tuple[str, ...]] = ("count",)
    summary_class: ClassVar[type[LabelSummary]] = CountTotals
    metric_info: Mapping[str, MetricInfo] = {
        "deviance": MetricInfo(lower_is_better=True),
        "mae": MetricInfo(lower_is_better=True),
    }

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        self.mean = field.mean[0] if field.mean and field.mean[0] > 0 else 1.0

    @property
    def num_outputs(self) -> int:
        """One, the logarithm of the rate over the mean."""
        return 1

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a row; outputs [B, 1], target [B]."""
        return masked_mean(self.entry_losses(outputs, target), labelled(target))

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row [B]."""
        log_rate = outputs[:, 0]
        capped = log_rate.clamp(max=LIMIT)
        rate = capped.exp() * (1.0 + (log_rate - capped))
        return rate - target.nan_to_num().to(rate.dtype) / self.mean * log_rate

    def metrics(self) -> "dict[str, Metric]":
        """Return the mean Poisson deviance and the mean absolute error, in counts."""
        from mtl_cli.metrics.columns import ColumnMAE
        from mtl_cli.metrics.deviance import PoissonDeviance

        return {"deviance": PoissonDeviance(), "mae": ColumnMAE(1)}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the rates [B]."""
        return outputs[:, 0].clamp(-LIMIT, LIMIT).exp() * self.mean

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the expected count."""
        return {f"{self.name}_prediction": Coded(self.predictions(outputs))}

    def trivial_outputs(self, summary: Totals) -> Tensor:
        """Return the logarithm of the mean of the training labels over `mean` [1]."""
        return torch.log(summary.mean.float().nan_to_num(self.mean) / self.mean).clamp(-LIMIT, LIMIT)
