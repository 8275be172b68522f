"""Errors of the number of objects in an image."""

import torch
from torch import Tensor
from torchmetrics import Metric

from mtl_cli.batch import set_entries


class CountError(Metric):
    """Mean over images of |k − n|: k predictions with a score of at least `threshold`, n true objects.

    Predictions [B, K, 6] have their score in place 4; the target [B, N, ...] is a padded set.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in images."""
        number = set_entries(target).sum(dim=1)
        error = ((predictions[..., 4] >= self.threshold).sum(dim=1) - number).abs()
        self.total += (error.to(self.total.dtype) / self.unit(number)).sum()
        self.count += len(target)

    def unit(self, number: Tensor) -> Tensor:
        """Return what the error of an image with `number` objects [B] is measured in."""
        return torch.ones_like(number)

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.total / self.count


class RelativeCountError(CountError):
    """Mean over images of |k − n| / max(1, n)."""

    def unit(self, number: Tensor) -> Tensor:
        """Return max(1, n)."""
        return number.clamp(min=1)
