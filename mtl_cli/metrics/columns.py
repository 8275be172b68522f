"""Metrics of vectors, column by column."""

from abc import abstractmethod

import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric
from mtl_cli.metrics.determination_base import Determination


class ColumnError(Metric):
    """Mean over columns of an error of one column; predictions and target [B, D], entries of target may be NaN.

    Each column is seen in its own unit, only at its labels. Columns without any are left out; NaN where all are. The
    state is two sums per column, in float64.
    """

    row_by_row = True
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
        return self.column(self.total / self.count).where(self.count > 0, 0.0).sum() / (self.count > 0).sum()

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


class R2(Determination):
    """Mean over columns of their coefficients of determination; a column whose labels are all equal is left out.

    Differs from torchmetrics' R2Score: sums of squares in float32 lose a target such as a year (2000 ± 10).
    """

    row_by_row = True

    def compute(self) -> Tensor:
        """Return the mean; NaN where no column has one."""
        values, there = self.coefficients()
        return values.where(there, 0.0).sum() / there.sum()
