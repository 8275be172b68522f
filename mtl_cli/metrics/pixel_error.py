"""Errors of a number for every pixel."""

import torch
from torch import Tensor
from torchmetrics import Metric


class PixelError(Metric):
    """Mean absolute error of predictions [B, H, W] over the known pixels of a split, in float64."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target, NaN where it is not known."""
        marks = self.marks(target)
        errors = (predictions - target).abs() / self.unit(target)
        self.total += torch.where(marks, errors, 0.0).sum(dtype=self.total.dtype)
        self.count += marks.sum()

    def marks(self, target: Tensor) -> Tensor:
        """True for the pixels that count."""
        return ~torch.isnan(target)

    def unit(self, target: Tensor) -> Tensor:
        """Return what the error of each pixel is measured in."""
        return torch.ones_like(target)

    def compute(self) -> Tensor:
        """Return the mean; NaN where no pixel counts."""
        return self.total / self.count


class RelativePixelError(PixelError):
    """Mean of |ŷ − y|/|y| over the known pixels that are not 0."""

    def marks(self, target: Tensor) -> Tensor:
        """True for known pixels other than 0."""
        return ~torch.isnan(target) & (target != 0)

    def unit(self, target: Tensor) -> Tensor:
        """Return |y|."""
        return target.abs()
