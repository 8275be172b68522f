"""Errors of a number for every pixel."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import EntryMean


class PixelError(EntryMean):
    """Mean absolute error of predictions [B, H, W] over the known pixels of a split, in float64."""

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target, NaN where it is not known."""
        marks = self.marks(target)
        self.add((predictions - target).abs() / self.unit(target), marks)

    def marks(self, target: Tensor) -> Tensor:
        """True for the pixels that count."""
        return ~torch.isnan(target)

    def unit(self, target: Tensor) -> Tensor:
        """Return what the error of each pixel is measured in."""
        return torch.ones_like(target)


class RelativePixelError(PixelError):
    """Mean of |ŷ − y|/|y| over the known pixels that are not 0."""

    def marks(self, target: Tensor) -> Tensor:
        """True for known pixels other than 0."""
        return ~torch.isnan(target) & (target != 0)

    def unit(self, target: Tensor) -> Tensor:
        """Return |y|."""
        return target.abs()


class RootMeanSquare(EntryMean):
    """Root of the mean over channels and known pixels of (ŷ − y)², images [B, C, H, W]; NaN where it is not known."""

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in images and their target."""
        self.add((predictions - target).square(), ~torch.isnan(target))

    def compute(self) -> Tensor:
        """Return the root of the mean."""
        return super().compute().sqrt()
