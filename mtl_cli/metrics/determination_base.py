"""Coefficients of determination, from sums."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric


class Determination(Metric):
    """1 − Σ(y − ŷ)²/Σ(y − ȳ)² of each column; predictions and target [B, D], entries of target may be NaN.

    Σ(y − ȳ)² comes from the sums of y − c and its square, in float64, `centre` c [D] being a number near the labels,
    such as the mean of training. So a target far from 0 relative to its spread, such as a time in 1e12 ms, loses no
    digits. A column whose labels all equal their mean to five digits of its distance from c has no coefficient.
    """

    count: Tensor
    total: Tensor
    squares: Tensor
    errors: Tensor

    def __init__(self, centre: Tensor) -> None:
        super().__init__()
        self.centre = centre
        self.add_state("count", torch.zeros(len(centre), dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("total", "squares", "errors"):
            self.add_state(name, torch.zeros(len(centre), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""
        marks, target = ~torch.isnan(target), target.to(self.total.dtype)  # float32 on a device that has no float64
        deviations = torch.where(marks, target - self.centre.to(target), 0.0)
        errors = torch.where(marks, predictions.to(target.dtype) - target, 0.0)  # a NaN that was predicted stays
        self.count += marks.sum(dim=0)
        self.total += deviations.sum(dim=0)
        self.squares += deviations.square().sum(dim=0)
        self.errors += errors.square().sum(dim=0)

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Return the coefficient of each column [D], and which columns have one."""
        spread = self.squares - self.total.square() / self.count.clamp(min=1)
        different = spread > 1e5 * torch.finfo(spread.dtype).eps * self.squares  # equal labels leave what is rounded
        return 1.0 - self.errors / spread, different
