"""Metrics of masks that may overlap, from counts of all pixels of a split."""

from abc import abstractmethod

import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric


class MaskCounts(Metric):
    """By class [C]: pixels that are predicted and true (`right`), that are predicted, and that are true.

    Predictions are bool [B, C, H, W], the target is float32 of 0 and 1, NaN where it is not known.
    """

    right: Tensor
    predicted: Tensor
    true: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        for name in ("right", "predicted", "true"):
            self.add_state(name, torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in masks; what is not known does not count."""
        found, true = predictions & ~torch.isnan(target), target == 1
        self.right += (found & true).sum(dim=(0, 2, 3))
        self.predicted += found.sum(dim=(0, 2, 3))
        self.true += true.sum(dim=(0, 2, 3))

    def compute(self) -> Tensor:
        """Return the mean over the classes that occur; NaN where none does."""
        occurs = self.predicted + self.true > 0
        return self.by_class()[occurs].mean()

    @abstractmethod
    def by_class(self) -> Tensor:
        """Return the metric of each class [C]."""


class MaskDice(MaskCounts):
    """Mean over classes of 2·TP/(2·TP + FP + FN)."""

    def by_class(self) -> Tensor:
        """Return Dice of each class."""
        return 2 * self.right.double() / (self.predicted + self.true)


class MaskIoU(MaskCounts):
    """Mean over classes of TP/(TP + FP + FN)."""

    def by_class(self) -> Tensor:
        """Return the intersection over union of each class."""
        return self.right.double() / (self.predicted + self.true - self.right)
