"""Errors of the number of objects in an image."""

import torch
from torch import Tensor

from mtl_cli.batch import set_entries
from mtl_cli.metrics.base import EntryMean


class CountError(EntryMean):
    """Mean over images of |k − n|: k predictions with a score of at least `threshold`, n true objects.

    Predictions [B, K, 6] have their score in place 4; the target [B, N, ...] is a padded set.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in images."""
        number = set_entries(target).sum(dim=1)
        error = ((predictions[..., 4] >= self.threshold).sum(dim=1) - number).abs()
        self.add(error.to(self.total.dtype) / self.unit(number), torch.ones_like(error, dtype=torch.bool))

    def unit(self, number: Tensor) -> Tensor:
        """Return what the error of an image with `number` objects [B] is measured in."""
        return torch.ones_like(number)


class RelativeCountError(CountError):
    """Mean over images of |k − n| / max(1, n)."""

    def unit(self, number: Tensor) -> Tensor:
        """Return max(1, n)."""
        return number.clamp(min=1)
