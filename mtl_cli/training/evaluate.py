"""Evaluation of a model on a split: losses and metrics of every task."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.errors import UserError
from mtl_cli.heads.base import Output, change_output
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
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


@dataclass(frozen=True)
class Evaluation:
    """What the model reaches on a split, and what constant predictors reach where they were asked for; by task."""

    results: dict[str, Result]
    constant: dict[str, Result]


class Meter:
    """Adds up one task's loss and metrics over batches; read once, at the end.

    All that it keeps is the state of metrics, so that those of the parts of a split add up (`mtl_cli.metrics.base`).
    """

    def __init__(self, task: Task, device: torch.device) -> None:
        from mtl_cli.metrics.weighted_mean import WeightedMean

        self.task = task
        floats = torch.float32 if device.type == "mps" else None  # it has no float64
        self.metrics: dict[str, Metric] = {
            name: metric.to(device=device, dtype=floats) for name, metric in task.metrics().items()
        }
        self.loss: WeightedMean = WeightedMean().to(device=device, dtype=floats)
        """Mean of the batches' losses, each weighted by its number of labels; the weight is their number."""

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
            return Result(float("nan"), dict.fromkeys(self.task.metric_info, float("nan")), None, 0)
        values = {name: metric.compute().cpu() for name, metric in self.metrics.items()}
        confusion = values.pop("confusion", None)
        numbers = {name: shortest(value) for name, value in values.items()}
        return Result(float(self.loss.compute()), numbers, confusion, count)


def shortest(value: Tensor) -> float:
    """Return a float32 scalar as the float with the fewest digits that stands for it: 0.89, not 0.8899999856948853."""
    return float(f"{float(value):.7g}")


class Watcher(Protocol):
    """Takes in what the model says of the rows of a split, beside the evaluation."""

    def update(self, dataset: str, rows: Tensor, batch: Batch, out: Outputs) -> None:
        """Take in the outputs of rows, by their numbers [B] in the split of a dataset."""
        ...


@torch.no_grad()
def evaluate_model(
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    streams: Mapping[str, Stream],
    arithmetic: Arithmetic,
    constants: Mapping[str, Output] | None = None,
    watcher: Watcher | None = None,
) -> Evaluation:
    """Return each task's result on the split that `streams` (by dataset) read, in the order of `tasks`.

    With `constants`, also what predictors reach that always give these outputs, from the same sweep. The `watcher` sees
    all outputs.

    Raises:
        UserError: a label that was not looked at before is not one of the task's kind.
    """
    training = model.training
    model.eval()
    meters: dict[str, Meter] = {}
    constant: dict[str, Meter] = {}
    to_device = partial(change_output, lambda tensor: tensor.to(arithmetic.device))
    same = {name: to_device(output) for name, output in (constants or {}).items()}
    for stream in streams.values():
        for name in stream.targets:
            meters[name] = Meter(tasks[name], arithmetic.device)
            if name in same:
                constant[name] = Meter(tasks[name], arithmetic.device)
        for rows, batch in stream.numbered_sweep():
            if not batch.targets:
                continue
            if not stream.rows.labels_at_hand:
                check_batch(tasks, stream, batch)
            with arithmetic.autocast():
                out = model.predict(batch.inputs, batch.tasks, batch.targets)
            if watcher is not None:
                watcher.update(stream.name, rows, batch, out)
            for name, target in batch.targets.items():
                count = batch.counts[name]
                weights = batch.weights.get(name)
                meters[name].update(out.outputs[name], target, count, out.generated.get(name), weights)
                if name in constant:
                    constant[name].update(tasks[name].repeated(same[name], target), target, count, weights=weights)
    model.train(training)
    return Evaluation(
        {name: meters[name].result() for name in tasks if name in meters},
        {name: meter.result() for name, meter in constant.items()},
    )


def check_batch(tasks: Mapping[str, Task], stream: Stream, batch: Batch) -> None:
    """Look for labels that a kind of task cannot use.

    Raises:
        UserError: there is one.
    """
    for name, target in batch.targets.items():
        problem = tasks[name].label_problem(target)
        if problem is not None:
            raise UserError(f"tasks.{name}: the field '{stream.targets[name]}' of the evaluated split {problem}.")


LOWEST_SKILL = -1.0
"""The least that one task adds to a skill, so that a single bad task does not decide which checkpoint is the best."""


def comparable(tasks: Mapping[str, Task], baseline: Mapping[str, Result]) -> list[str]:
    """Return the tasks that have a skill: their primary metric has a value for the trivial predictor on the split.

    It has none without a label, or for the AUC of a single class. It depends on the labels alone, so that all skills of
    a run are means over the same tasks.
    """
    return [name for name, task in tasks.items() if not math.isnan(baseline[name].metrics[task.primary])]


def skill(tasks: Mapping[str, Task], results: Mapping[str, Result], baseline: Mapping[str, Result]) -> float:
    """Return the mean over the comparable tasks of the primary metric's gain over the trivial predictor.

    A gain (`MetricInfo.skill`) counts as −1 where it is less, or where the model's metric has no value. It is NaN
    without a comparable task.
    """
    gains = []
    for name in comparable(tasks, baseline):
        primary = tasks[name].primary
        gain = tasks[name].metric_info[primary].skill(results[name].metrics[primary], baseline[name].metrics[primary])
        gains.append(LOWEST_SKILL if math.isnan(gain) else max(gain, LOWEST_SKILL))
    return sum(gains) / len(gains) if gains else float("nan")


def flat(results: Mapping[str, Result]) -> dict[str, float]:
    """Return every value under "<task>/<metric>"."""
    return {f"{name}/{metric}": value for name, result in results.items() for metric, value in result.values.items()}
