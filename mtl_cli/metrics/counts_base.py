"""Counts of pairs of a true and a predicted class."""

import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS
from mtl_cli.metrics.base import Metric


class ClassPairs(Metric):
    """The confusion matrix int64 [C, C], rows being the truth; predicted and true classes are int64 [B, ...]."""

    row_by_row = True
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predicted classes and their target; entries without a label are counted apart and dropped."""
        classes = self.num_classes
        place = torch.where(target == MISSING_CLASS, classes**2, target * classes + predictions)
        self.counts += tally(place, classes**2).reshape(classes, classes)


def tally(numbers: Tensor, size: int) -> Tensor:
    """Return how often each number below `size` occurs, int64 [size]; `size` itself is dropped."""
    counts = torch.zeros(size + 1, dtype=torch.int64, device=numbers.device)
    flat = numbers.flatten()
    return counts.scatter_add(0, flat, torch.ones_like(flat))[:-1]
