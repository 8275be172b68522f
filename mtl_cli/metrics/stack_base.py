"""Metrics of many tasks as one: predictions and target [B, T], in which labels may be missing, give values [T].

Each gives for a column what the metric of a single task gives for its labelled rows, NaN where the column has none.
Their states are sums or rows, as `mtl_cli.metrics.base` asks for.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from mtl_cli.batch import labelled
from mtl_cli.metrics.auc_base import Areas
from mtl_cli.metrics.base import Metric, State
from mtl_cli.metrics.determination_base import Determination
from mtl_cli.metrics.log_loss import EPSILON


class ColumnSums(Metric):
    """The mean over the labels of each column of what `entries` gives, as two sums [T] in float64."""

    total: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""
        marks, exact = labelled(target), self.total.dtype  # float32 on a device that has no float64
        entries = self.entries(predictions.to(exact), target.to(exact))
        self.total += torch.where(marks, entries, 0.0).sum(dim=0)
        self.count += marks.sum(dim=0)

    def compute(self) -> Tensor:
        """Return the means."""
        return self.total / self.count

    @abstractmethod
    def entries(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return what each entry adds to the sum of its column."""


class StackedMAE(ColumnSums):
    """Mean absolute error of each column."""

    def entries(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the absolute differences."""
        return (predictions - target).abs()


class StackedRMSE(ColumnSums):
    """Root of the mean squared error of each column."""

    def entries(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the squared differences."""
        return (predictions - target).square()

    def compute(self) -> Tensor:
        """Return the roots."""
        return super().compute().sqrt()


class LogLosses(ColumnSums):
    """`LogLoss` of each column."""

    def entries(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihoods."""
        p = predictions.clamp(EPSILON, 1.0 - EPSILON)
        return -torch.where(target > 0.5, p, 1.0 - p).log()


class R2s(Determination):
    """`R2` of each column: NaN where all labels are equal."""

    def compute(self) -> Tensor:
        """Return the coefficients of determination."""
        values, there = self.coefficients()
        return values.where(there, torch.nan)


class AUCs(Areas):
    """`AUC` of each column: NaN where only one class occurs."""


class Stacked(Metric):
    """What a metric that is `row_by_row` and keeps sums gives for each task; predictions and target [B, T, ...]."""

    def __init__(self, metric: Metric, size: int) -> None:
        super().__init__()
        self.metric = metric
        for name, start in metric.state().items():
            assert isinstance(start, Tensor), "there are sums alone"
            self.add_state(name, start.expand(size, *start.shape).clone(), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""

        def one(state: State, predictions: Tensor, target: Tensor) -> State:
            self.metric.put(state)
            self.metric.update(predictions, target)
            return self.metric.state()

        self.put(torch.vmap(one, in_dims=(0, 1, 1))(self.state(), predictions, target))
        self.metric.reset()

    def compute(self) -> Tensor:
        """Return the metric of each task [T, ...]."""
        return self.metric.of_sums({name: value for name, value in self.state().items() if isinstance(value, Tensor)})


class Confusions(Metric):
    """The confusion matrix of each column [T, 2, 2], rows: truth; a probability above one half is class 1."""

    counts: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(size, 2, 2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""
        said = predictions > 0.5
        cells = [[(truth & ~said).sum(dim=0), (truth & said).sum(dim=0)] for truth in (target == 0, target == 1)]
        self.counts += torch.stack([torch.stack(row, dim=-1) for row in cells], dim=-2)

    def compute(self) -> Tensor:
        """Return the matrices."""
        return self.counts


class StackedAccuracy(Confusions):
    """Share of the labels of each column that are predicted."""

    def compute(self) -> Tensor:
        """Return the shares."""
        counts = self.counts.double()
        return (counts[:, 0, 0] + counts[:, 1, 1]) / counts.sum(dim=(1, 2))


class StackedF1(Confusions):
    """F1 of class 1 of each column; 0 where it occurs neither in truth nor in predictions."""

    def compute(self) -> Tensor:
        """Return the scores."""
        counts = self.counts.double()
        right, wrong = counts[:, 1, 1], counts[:, 0, 1] + counts[:, 1, 0]
        return torch.where(right > 0, 2 * right / (2 * right + wrong), 0.0)
