"""Evaluation of a model on a split: losses and metrics of every task."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.loading import Stream

if TYPE_CHECKING:
    from torchmetrics import Metric


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
    """Adds up one task's loss and metrics over batches; read once, at the end."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self.task = task
        self.metrics: dict[str, Metric] = {name: metric.to(device) for name, metric in task.metrics().items()}
        self._losses: list[Tensor] = []
        self._counts: list[int] = []

    def update(self, outputs: Tensor, target: Tensor, count: int) -> None:
        """Take in outputs [B, num_outputs] float32, their target [B, ...] and its number of labels."""
        self._losses.append(self.task.loss(outputs, target))
        self._counts.append(count)
        if count < target.numel():
            keep = self.task.labelled_rows(target)
            outputs, target = outputs[keep], target[keep]
        predictions, references = self.task.predictions(outputs), self.task.references(target)
        for metric in self.metrics.values():
            metric.update(predictions, references)

    def result(self) -> Result:
        """Return the totals; NaN where the split has no label."""
        total = sum(self._counts)
        if total == 0:
            return Result(float("nan"), dict.fromkeys(self.task.metric_info, float("nan")), None, 0)
        losses = torch.stack(self._losses).cpu().double()
        loss = float((losses * torch.tensor(self._counts, dtype=torch.float64)).sum() / total)
        values = {name: metric.compute().cpu() for name, metric in self.metrics.items()}
        confusion = values.pop("confusion", None)
        return Result(loss, {name: shortest(value) for name, value in values.items()}, confusion, total)


def shortest(value: Tensor) -> float:
    """Return a float32 scalar as the float with the fewest digits that stands for it: 0.89, not 0.8899999856948853."""
    return float(f"{float(value):.7g}")


@torch.no_grad()
def evaluate(
    model: MultiTaskModel, tasks: Mapping[str, Task], streams: Mapping[str, Stream], arithmetic: Arithmetic
) -> dict[str, Result]:
    """Return each task's result on the split that `streams` (by dataset) read, in the order of `tasks`."""
    training = model.training
    model.eval()
    meters = {}
    for stream in streams.values():
        for name in stream.targets:
            meters[name] = Meter(tasks[name], arithmetic.device)
        for batch in stream.sweep():
            if not batch.targets:
                continue
            with arithmetic.autocast():
                out = model(batch.inputs, batch.tasks)
            for name, target in batch.targets.items():
                meters[name].update(out.outputs[name], target, batch.counts[name])
    model.train(training)
    return {name: meters[name].result() for name in tasks if name in meters}


@torch.no_grad()
def trivial(tasks: Mapping[str, Task], streams: Mapping[str, Stream], train: Mapping[str, Stream]) -> dict[str, Result]:
    """Return what each task's best constant predictor, fitted on `train` labels, reaches on the split of `streams`."""
    results = {}
    for dataset, stream in streams.items():
        for name in [name for name in stream.targets if name in tasks]:
            field, meter = stream.targets[name], Meter(tasks[name], torch.device("cpu"))
            outputs = tasks[name].trivial_outputs(train[dataset].dataset.labels(field))
            labels = stream.dataset.labels(field)
            for target in labels.split(max(1, 65536 // max(1, labels[:1].numel()))):
                count = int(tasks[name].labelled_entries(target))
                if count:
                    meter.update(tasks[name].repeated(outputs, target), target, count)
            results[name] = meter.result()
    return results


def skill(tasks: Mapping[str, Task], results: Mapping[str, Result], baseline: Mapping[str, Result]) -> float:
    """Return the mean over tasks of the primary metric's gain over the trivial predictor (`MetricInfo.skill`).

    A task whose metric has no value on the split (no label, or the AUC of a single class) is left out.
    """
    gains = []
    for name, task in tasks.items():
        value, reference = results[name].metrics[task.primary], baseline[name].metrics[task.primary]
        if not math.isnan(reference):
            gains.append(task.metric_info[task.primary].skill(value, reference))
    return sum(gains) / len(gains) if gains else float("nan")


def flat(results: Mapping[str, Result]) -> dict[str, float]:
    """Return every value under "<task>/<metric>"."""
    return {f"{name}/{metric}": value for name, result in results.items() for metric, value in result.values.items()}
