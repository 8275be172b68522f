"""Mean of values that stand for different numbers of labels."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric


class WeightedMean(Metric):
    """Σ w·v / Σ w of scalars v with whole numbers w, in float64; NaN where Σ w is 0. With a `shape`, of tensors.

    Differs from torchmetrics' MeanMetric: a NaN stays, and nothing looks for one, which would wait for the device. (Its
    `nan_strategy="disable"` does not look either, but in version 1.9 it forgets the weights.)
    """

    row_by_row = True
    total: Tensor
    weight: Tensor

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: int | Tensor) -> None:
        """Take in a scalar and its weight."""
        self.total += value.to(self.total.dtype) * weight
        self.weight += weight

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.total / self.weight
