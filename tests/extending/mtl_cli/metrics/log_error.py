"""Mean absolute error of logarithms."""

import torch
from torch import Tensor
from torchmetrics import Metric


class LogError(Metric):
    """Mean of |log(1 + ŷ) − log(1 + y)| over predictions and targets [B] of 0 or more."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""
        self.total += (predictions.log1p() - target.log1p()).abs().to(self.total.dtype).sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.total / self.count
