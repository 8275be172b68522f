"""Losses and metrics of one task, or of tasks that are computed as one, added up over the batches of a split."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtl_cli.batch import StackTarget
from mtl_cli.heads.base import Output, change_output
from mtl_cli.metrics.base import Metric
from mtl_cli.metrics.borrowed import own
from mtl_cli.metrics.weighted_mean import WeightedMean
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.stack_base import TaskStack, on
from mtl_cli.training.shards import Shard


@dataclass(frozen=True)
class Result:
    """One task on one split: mean loss, scalar metrics, confusion matrix [C, C] (rows: truth), labelled entries."""

    loss: float
    metrics: dict[str, float]
    confusion: Tensor | None
    count: int

    @property
    def values(self) -> dict[str, float]:
        """Loss and metrics by name."""
        return {"loss": self.loss, **self.metrics}


class Meter:
    """Adds up one task's loss and metrics over batches; read once, at the end.

    All that it keeps is the state of metrics, so that those of the parts of a split add up (`mtl_cli.metrics.base`).
    """

    def __init__(self, task: Task, device: torch.device) -> None:
        self.task = task
        floats = torch.float32 if device.type == "mps" else None  # it has no float64
        self.metrics: dict[str, Metric] = {
            name: own(metric).to(device, floats)
            for name, metric in task.metrics().items()
            if not task.chosen_metrics or name in ("confusion", *task.chosen_metrics)
        }
        self.loss = WeightedMean().to(device, floats)
        """Mean of the batches' losses, each weighted by its number of labels; the weight is their number."""
        self.shard = Shard(self.metrics, self.loss)

    def update(
        self,
        outputs: Output,
        target: Tensor,
        count: int,
        predicted: Output | None = None,
        weights: Tensor | None = None,
    ) -> None:
        """Take in outputs, float32, their target [B, ...] and its number of labels.

        Metrics see the outputs `predicted` where these differ from those that the loss takes. Weights of rows [B] are
        those of the loss; for metrics every labelled row counts once.
        """
        outputs = self.task.matched(outputs, target)
        self.loss.update(self.task.loss_of(outputs, target, weights), count)
        seen = outputs if predicted is None else self.task.matched(predicted, target)
        if count < target.numel():
            keep = self.task.labelled_rows(target)
            seen, target = change_output(lambda tensor: tensor[keep], seen), target[keep]
        predictions, references = self.task.predictions(seen), self.task.references(target)
        for metric in self.metrics.values():
            metric.update(predictions, references)

    def result(self) -> Result:
        """Return the totals; NaN where the split has no label."""
        count = int(self.loss.weight)
        if count == 0:
            return Result(float("nan"), dict.fromkeys(self.task.reported, float("nan")), None, 0)
        values = {name: metric.compute().cpu() for name, metric in self.metrics.items()}
        confusion = values.pop("confusion", None)
        numbers = {name: shortest(value) for name, value in values.items()}
        return Result(float(self.loss.compute()), numbers, confusion, count)


def shortest(value: Tensor | float) -> float:
    """Return a float32 scalar as the float with the fewest digits that stands for it: 0.89, not 0.8899999856948853."""
    return float(f"{float(value):.7g}")


class StackMeter:
    """Adds up losses and metrics of tasks that are computed as one; the same as a `Meter` for each of them."""

    def __init__(self, stack: TaskStack[Any], device: torch.device) -> None:
        self.stack = stack
        floats = torch.float32 if device.type == "mps" else None  # it has no float64
        self.metrics: dict[str, Metric] = {
            name: own(metric).to(device, floats) for name, metric in stack.metrics().items()
        }
        self.loss = WeightedMean((len(stack.names),)).to(device, floats)
        self.shard = Shard(self.metrics, self.loss)

    def update(self, outputs: Tensor, target: StackTarget) -> None:
        """Take in outputs [B, T, O], float32, and their targets."""
        counts = on(torch.as_tensor(target.counts), outputs).expand(len(target.tasks))
        prepared = self.stack.prepared(target.values)
        self.loss.update(self.stack.losses(outputs, prepared, counts.clamp(min=1), target.is_full), counts)
        predictions = self.stack.predictions(outputs)
        for metric in self.metrics.values():
            metric.update(predictions, target.values)

    def results(self) -> dict[str, Result]:
        """Return the totals by task; NaN for one that has no label in the split."""
        counts, losses = self.loss.weight.tolist(), self.loss.compute().tolist()
        values = {name: metric.compute().cpu() for name, metric in self.metrics.items()}
        confusions = values.pop("confusion", None)
        columns = {name: list(map(shortest, column.float().tolist())) for name, column in values.items()}
        found = {}
        for row, (task, count) in enumerate(zip(self.stack.tasks, counts, strict=True)):
            if count == 0:
                found[task.name] = Result(math.nan, dict.fromkeys(task.metric_info, math.nan), None, 0)
                continue
            numbers = {name: column[row] for name, column in columns.items()}
            found[task.name] = Result(losses[row], numbers, None if confusions is None else confusions[row], count)
        return found
