"""Metrics of labels of which several may be true: probabilities [B, C] and target; neither 0 nor 1 is missing."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric


class LabelF1(Metric):
    """Mean over labels of 2·TP/(2·TP + FP + FN), 0 for one that is neither true nor predicted; above 0.5 is a yes."""

    row_by_row = True
    right: Tensor
    both: Tensor
    """True entries and predicted ones."""

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        for name in ("right", "both"):
            self.add_state(name, torch.zeros(num_labels, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in probabilities and their target."""
        said, true = (predictions > 0.5) & (target >= 0), target == 1
        self.right += (said & true).sum(dim=0)
        self.both += said.sum(dim=0) + true.sum(dim=0)

    def compute(self) -> Tensor:
        """Return the mean."""
        return (2 * self.right / self.both.clamp(min=1) / len(self.right)).sum()


class MicroF1(LabelF1):
    """2·TP/(2·TP + FP + FN) of all entries."""

    row_by_row = True

    def compute(self) -> Tensor:
        """Return the score; 0 where nothing is true or predicted."""
        return 2 * self.right.sum() / self.both.sum().clamp(min=1)
