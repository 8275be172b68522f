"""Metrics of yes or no: probabilities of class 1 [B], above one half is a yes; targets are int64 [B]."""

from torch import Tensor

from mtl_cli.metrics.counts_base import ClassPairs


class BinaryConfusion(ClassPairs):
    """The confusion matrix [2, 2], rows being the truth."""

    row_by_row = True

    def __init__(self) -> None:
        super().__init__(2)

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in probabilities and their target."""
        super().update((predictions > 0.5).long(), target)

    def compute(self) -> Tensor:
        """Return the counts."""
        return self.counts


class BinaryAccuracy(BinaryConfusion):
    """Share of the labels that are predicted."""

    row_by_row = True

    def compute(self) -> Tensor:
        """Return the share."""
        return (self.counts.diagonal().sum().double() / self.counts.sum()).float()


class BinaryF1(BinaryConfusion):
    """2·TP/(2·TP + FP + FN) of class 1; 0 where it occurs neither in truth nor in predictions."""

    row_by_row = True

    def compute(self) -> Tensor:
        """Return the score."""
        both = (self.counts[1].sum() + self.counts[:, 1].sum()).double()
        return (2 * self.counts[1, 1] / both.clamp(min=1)).float()
