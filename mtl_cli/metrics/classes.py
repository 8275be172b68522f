"""Metrics of classes; predicted and true classes are int64 [B, ...], and what is −100 in the truth does not count.

Scores are rounded to float32, as torchmetrics computes them.
"""

import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS
from mtl_cli.metrics.base import EntryMean, Metric
from mtl_cli.metrics.counts_base import ClassPairs, tally


class Confusion(ClassPairs):
    """The confusion matrix."""

    row_by_row = True

    def compute(self) -> Tensor:
        """Return the counts [C, C], rows being the truth."""
        return self.counts


class Accuracy(EntryMean):
    """Share of the labels that are predicted."""

    row_by_row = True

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in classes."""
        self.add(predictions == target, target != MISSING_CLASS)

    def compute(self) -> Tensor:
        """Return the share."""
        return super().compute().float()


class RankError(EntryMean):
    """Mean absolute difference of the numbers of the classes."""

    row_by_row = True

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in classes."""
        self.add((predictions - target).abs(), target != MISSING_CLASS)

    def compute(self) -> Tensor:
        """Return the mean."""
        return super().compute().float()


class MacroF1(Metric):
    """Mean of 2·TP/(2·TP + FP + FN) over the classes that occur among labels or predictions."""

    row_by_row = True
    right: Tensor
    predicted: Tensor
    true: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        for name in ("right", "predicted", "true"):
            self.add_state(name, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in classes."""
        marks, nowhere = target != MISSING_CLASS, self.num_classes
        self.right += tally(torch.where(marks & (predictions == target), target, nowhere), nowhere)
        self.predicted += tally(torch.where(marks, predictions, nowhere), nowhere)
        self.true += tally(torch.where(marks, target, nowhere), nowhere)

    def compute(self) -> Tensor:
        """Return the mean; NaN where no class occurs."""
        both = (self.predicted + self.true).float()
        scores = torch.where(both > 0, 2 * self.right.float() / both, 0.0)
        return (scores / (both > 0).sum()).sum()


class QuadraticKappa(ClassPairs):
    """Cohen's kappa of ordered classes, 1 − Σ w·observed / Σ w·expected with w = (i − j)².

    Cohen, "Weighted kappa", Psychological Bulletin 1968.
    """

    row_by_row = True

    def compute(self) -> Tensor:
        """Return kappa; NaN where one class alone is true and predicted."""
        counts = self.counts.double()
        number = torch.arange(self.num_classes, device=counts.device, dtype=counts.dtype)
        weights = (number[:, None] - number).square()
        expected = counts.sum(dim=1, keepdim=True) * counts.sum(dim=0) / counts.sum()
        return (1 - (weights * counts).sum() / (weights * expected).sum()).float()
