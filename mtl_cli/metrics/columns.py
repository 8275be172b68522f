"""Metrics of vectors, column by column."""

from abc import abstractmethod

import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected, Metric


class ColumnError(Metric):
    """Mean over columns of an error of one column; predictions and target [B, D], entries of target may be NaN.

    Each column is seen in its own unit, only at its labels. Columns without any are left out; NaN where all are. The
    state is two sums per column, in float64.
    """

    total: Tensor
    count: Tensor

    def __init__(self, num_columns: int) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(num_columns, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(num_columns, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""
        marks = ~torch.isnan(target)
        exact = self.total.dtype  # float32 on a device that has no float64
        errors = self.entry(predictions.to(exact) - target.to(exact))
        self.total += torch.where(marks, errors, 0.0).sum(dim=0)  # a NaN that was predicted stays
        self.count += marks.sum(dim=0)

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.column(self.total / self.count)[self.count > 0].mean()

    @abstractmethod
    def entry(self, difference: Tensor) -> Tensor:
        """Return what an entry adds to the sum of its column, from prediction − target [B, D]."""

    def column(self, mean: Tensor) -> Tensor:
        """Return the error of each column from the mean of its entries [D]."""
        return mean


class ColumnMAE(ColumnError):
    """Mean over columns of the mean absolute error."""

    def entry(self, difference: Tensor) -> Tensor:
        """Return the absolute differences."""
        return difference.abs()


class ColumnRMSE(ColumnError):
    """Mean over columns of the root of the mean squared error."""

    def entry(self, difference: Tensor) -> Tensor:
        """Return the squared differences."""
        return difference.square()

    def column(self, mean: Tensor) -> Tensor:
        """Return the roots."""
        return mean.sqrt()


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
