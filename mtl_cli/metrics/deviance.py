"""Mean Poisson deviance of counts."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import EntryMean


class PoissonDeviance(EntryMean):
    """Mean of 2·(y·log(y/ŷ) − y + ŷ) of rates ŷ > 0 [B] and counts y [B]; NaN is not a label."""

    row_by_row = True

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in rates and counts."""
        marks, exact = ~torch.isnan(target), self.total.dtype  # float32 on a device that has no float64
        rate, count = predictions.to(exact), target.to(exact)
        self.add(2 * (torch.xlogy(count, count / rate) - count + rate), marks)
