"""Metrics of vectors, column by column."""

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from mtl_cli.metrics.base import Collected


class ColumnMean(Metric):
    """Mean over columns of a metric of one column; predictions and target [B, D], entries of target may be NaN.

    Each column is seen in its own unit, only at its labels; columns without any are left out.
    """

    full_state_update = False

    def __init__(self, metric: Metric, num_columns: int) -> None:
        super().__init__()
        self.columns = nn.ModuleList(metric.clone() for _ in range(num_columns))

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""
        marks = ~torch.isnan(target)
        for column, metric in enumerate(self.columns):
            assert isinstance(metric, Metric)
            if bool(marks[:, column].any()):
                metric.update(predictions[marks[:, column], column], target[marks[:, column], column])

    def compute(self) -> Tensor:
        """Return the mean."""
        values = [metric.compute() for metric in self.columns if isinstance(metric, Metric) and metric.update_called]
        return torch.stack(values).mean() if values else torch.tensor(torch.nan)


class R2(Collected):
    """Mean over columns of the coefficient of determination, 1 − Σ(y − ŷ)²/Σ(y − ȳ)²; NaN entries are left out.

    A column whose labels are all equal has none and is left out. Differs from torchmetrics' R2Score: computed from
    deviations in float64, since sums of squares in float32 lose a target such as a year (2000 ± 10) to cancellation.
    """

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the mean; NaN where no column has one."""
        predictions, target = predictions.flatten(1), target.flatten(1)  # [N, D]
        centre = target.nanmean(dim=0)
        total = (target - centre).square().nansum(dim=0)
        marks = ~torch.isnan(target)
        errors = torch.where(marks, predictions - target.nan_to_num(), 0.0)  # a NaN that was predicted stays
        ratio = errors.square().sum(dim=0) / total
        return (1.0 - ratio[total > 0]).mean()
