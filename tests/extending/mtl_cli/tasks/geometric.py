"""Counts of failures before a success."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Task, masked_mean
from mtl_cli.tasks.predictions_base import Columns
from mtl_cli.tasks.summary_base import LabelSummary, Totals

if TYPE_CHECKING:
    from torchmetrics import Metric

LIMIT = 30.0
"""Outputs beyond it, logarithms of a mean, are cut off in predictions."""


class Geometric(Task):
    """Counts by the geometric likelihood, whose mean m is exp(output): (1 + y)·log(1 + m) − y·log m, targets [B]."""

    field_kind = "count"
    primary = "log_error"
    accepts: ClassVar[tuple[str, ...]] = ("count",)
    summary_class: ClassVar[type[LabelSummary]] = Totals
    metric_info: Mapping[str, MetricInfo] = {"log_error": MetricInfo(lower_is_better=True)}

    def __init__(
        self, target: str, weight: float, head: Head, floor: float = 1e-3, *, name: str, field: FieldSpec
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        self.floor = floor
        """The least mean of the trivial predictor."""

    @property
    def num_outputs(self) -> int:
        """One, the logarithm of the mean."""
        return 1

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a row; outputs [B, 1], target [B]."""
        y, log_mean = target.nan_to_num(), outputs[:, 0]
        return masked_mean((1.0 + y) * F.softplus(log_mean) - y * log_mean, self.label_marks(target))

    def metrics(self) -> "dict[str, Metric]":
        """Return the mean absolute error of logarithms."""
        from mtl_cli.metrics.log_error import LogError

        return {"log_error": LogError()}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the means [B]."""
        return outputs[:, 0].clamp(-LIMIT, LIMIT).exp()

    def decode(self, outputs: Tensor) -> Columns:
        """Return the expected count."""
        return {f"{self.name}_prediction": self.predictions(outputs).cpu().numpy()}

    def trivial_outputs(self, summary: Totals) -> Tensor:
        """Return the logarithm of the mean of the training labels [1]."""
        return torch.log(summary.mean.float().nan_to_num(1.0).clamp(min=self.floor)).reshape(1)
