"""What a metric of this program is, and a metric that needs the whole split at once.

A metric's state is sums, or rows that are gathered. Every state is added with the reduction "sum" or "cat". There is no
other: `update` changes nothing else, and `compute` reads nothing else. So the states of the parts of a split, put
together, are the state of the whole, also where a part has no label. Batches may be of any size, and several processes
can evaluate a split. A mean is two sums, and a value per column is sums with one entry per column. What depends on the
order of all rows (AUC, NDCG, concordance) gathers them. After gathering, a state of rows may be one tensor instead of a
list: `dim_zero_cat` takes both.

`update` does not wait for the device: it chooses no entries by their values (`torch.where` instead of an index) and
turns nothing into a Python number. Metrics that gather rows on the host, or look at words, are excepted.
`tests/metrics/test_every_metric.py` holds the rule for the metrics of every kind of task.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat


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
        return self.value(dim_zero_cat(self.predictions).double(), dim_zero_cat(self.targets).double())

    def told_apart(self, state: str, rows: Tensor, copy: int) -> Tensor:
        """Return rows of a state as those of copy number `copy` of them, where rows are drawn again.

        A metric that compares rows of one group overrides it: copies of a group are groups of their own.
        """
        return rows

    @abstractmethod
    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the metric of a whole split; both float64 [N, ...]."""


class EntryMean(Metric):
    """The mean of entries that count, as two sums: in float64, without a wait for the device."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def add(self, entries: Tensor, marks: Tensor) -> None:
        """Take in entries [B, ...], numbers or truths, where `marks` of the same shape are True."""
        self.total += torch.where(marks, entries, 0).sum(dtype=self.total.dtype)
        self.count += marks.sum()

    def compute(self) -> Tensor:
        """Return the mean; NaN where no entry counts."""
        return self.total / self.count
