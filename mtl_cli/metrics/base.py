"""A metric that needs the whole split at once."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torchmetrics import Metric


class Collected(Metric, ABC):
    """Keeps predictions and targets on the host and computes once, in float64: sums of a split lose no digits.

    Memory is that of the labels and predictions of the split, 4 bytes a number.
    """

    full_state_update = False
    predictions: list[Tensor]
    targets: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("predictions", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions [B, ...] and their target [B, ...]."""
        self.predictions.append(predictions.detach().cpu())
        self.targets.append(target.cpu())

    def compute(self) -> Tensor:
        """Return the metric, NaN where it is not defined."""
        return self.value(torch.cat(self.predictions).double(), torch.cat(self.targets).double())

    @abstractmethod
    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the metric of a whole split; both float64 [N, ...]."""
