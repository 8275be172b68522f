"""Metrics of label images, from the confusion matrix of all pixels of a split."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torchmetrics import Metric

from mtl_cli.batch import MISSING_CLASS


class PixelCounts(Metric, ABC):
    """The confusion matrix int64 [C, C], rows being the truth; predicted and true classes are int64 [B, ...]."""

    full_state_update = False
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predicted classes and their target; pixels without a label are counted apart and dropped."""
        classes = self.num_classes
        place = torch.where(target == MISSING_CLASS, classes**2, target * classes + predictions).flatten()
        counts = torch.zeros(classes**2 + 1, dtype=torch.int64, device=place.device)
        self.counts += counts.scatter_add_(0, place, torch.ones_like(place))[:-1].reshape(classes, classes)

    @abstractmethod
    def compute(self) -> Tensor:
        """Return the metric."""


class Confusion(PixelCounts):
    """The matrix itself."""

    def compute(self) -> Tensor:
        """Return the counts [C, C]."""
        return self.counts


class PixelAccuracy(PixelCounts):
    """Share of the labelled pixels whose class is right."""

    def compute(self) -> Tensor:
        """Return the share."""
        return self.counts.diagonal().sum().double() / self.counts.sum()


class MeanIoU(PixelCounts):
    """Mean over the classes that occur among labels or predictions of TP/(TP + FP + FN)."""

    def compute(self) -> Tensor:
        """Return the mean."""
        right = self.counts.diagonal()
        union = self.counts.sum(dim=0) + self.counts.sum(dim=1) - right
        return (right.double() / union)[union > 0].mean()


class Dice(PixelCounts):
    """2·TP/(2·TP + FP + FN): of two classes that of the second, else the mean over the classes that occur."""

    def compute(self) -> Tensor:
        """Return Dice; NaN where the foreground occurs neither among labels nor among predictions."""
        both = self.counts.sum(dim=0) + self.counts.sum(dim=1)
        dice = 2 * self.counts.diagonal().double() / both  # NaN for a class that does not occur
        return dice[1] if self.num_classes == 2 else dice[both > 0].mean()
