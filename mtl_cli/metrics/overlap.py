"""Metrics of label images, from the confusion matrix of all pixels of a split."""

from torch import Tensor

from mtl_cli.metrics.counts_base import ClassPairs


class PixelAccuracy(ClassPairs):
    """Share of the labelled pixels whose class is right."""

    def compute(self) -> Tensor:
        """Return the share."""
        return self.counts.diagonal().sum().double() / self.counts.sum()


class MeanIoU(ClassPairs):
    """Mean over the classes that occur among labels or predictions of TP/(TP + FP + FN)."""

    def compute(self) -> Tensor:
        """Return the mean."""
        right = self.counts.diagonal()
        union = self.counts.sum(dim=0) + self.counts.sum(dim=1) - right
        return (right.double() / union)[union > 0].mean()


class Dice(ClassPairs):
    """2·TP/(2·TP + FP + FN): of two classes that of the second, else the mean over the classes that occur."""

    def compute(self) -> Tensor:
        """Return Dice; NaN where the foreground occurs neither among labels nor among predictions."""
        both = self.counts.sum(dim=0) + self.counts.sum(dim=1)
        dice = 2 * self.counts.diagonal().double() / both  # NaN for a class that does not occur
        return dice[1] if self.num_classes == 2 else dice[both > 0].mean()
