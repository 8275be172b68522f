"""Evaluation of a model on a split: losses and metrics of every task."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from mtl_cli.batch import Batch, StackTarget
from mtl_cli.errors import UserError
from mtl_cli.heads.base import Output, change_output
from mtl_cli.metrics.base import Metric
from mtl_cli.metrics.borrowed import own
from mtl_cli.metrics.weighted_mean import WeightedMean
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
from mtl_cli.ranks.ranks import ALONE, Ranks
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.stack_base import TaskStack, on
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.loading import Stream
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


class Watcher(Protocol):
    """Takes in what the model says of the rows of a split, beside the evaluation."""

    def update(self, dataset: str, rows: Tensor, batch: Batch, out: Outputs) -> None:
        """Take in the outputs of rows, by their numbers [B] in the split of a dataset."""
        ...


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


@torch.no_grad()
def evaluate_model(
    model: MultiTaskModel,
    tasks: Mapping[str, Task],
    streams: Mapping[str, Stream],
    arithmetic: Arithmetic,
    constants: Mapping[str, Output] | None = None,
    watcher: Watcher | None = None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Return each task's result on the split that `streams` (by dataset) read, in the order of `tasks`.

    With `constants`, also what predictors reach that always give these outputs, from the same sweep. The `watcher` sees
    all outputs of this rank. The `ranks` take the batches in turns, and all get the results.

    Raises:
        UserError: a label that was not looked at before is not one of the task's kind.
    """
    training = model.training
    model.eval()
    sweeps = [Sweep(tasks, stream, arithmetic, constants or {}) for stream in streams.values()]
    for sweep in sweeps:
        sweep.run(model, watcher, ranks)
    model.train(training)
    if not ranks.alone:
        for sweep in sweeps:
            for meter in sweep.every:
                meter.shard.add_up(ranks)

    def results() -> list[dict[str, dict[str, Any]]]:
        with ranks.watch.patient():
            found = {name: vars(result) for sweep in sweeps for name, result in sweep.results().items()}
            constant = {name: vars(res) for sweep in sweeps for name, res in sweep.constant_results().items()}
            return [{name: found[name] for name in tasks if name in found}, constant]

    found, constant = ({name: Result(**values) for name, values in each.items()} for each in ranks.tell(results))
    return Evaluation(found, constant)


class Sweep:
    """One sweep over a stream: the meters of its tasks, and those of the predictors that always give `constants`."""

    def __init__(
        self, tasks: Mapping[str, Task], stream: Stream, arithmetic: Arithmetic, constants: Mapping[str, Output]
    ) -> None:
        device = arithmetic.device
        self.tasks, self.stream, self.arithmetic = tasks, stream, arithmetic
        to_device = partial(change_output, lambda tensor: tensor.to(device))
        self.same = {name: to_device(constants[name]) for name in stream.targets if name in constants}
        self.stacks = {stack.name: stack for stack in stream.stacks}
        self.meters = {name: Meter(tasks[name], device) for name in stream.apart}
        self.constant = {name: Meter(tasks[name], device) for name in stream.apart if name in self.same}
        self.stacked = {name: StackMeter(stack, device) for name, stack in self.stacks.items()}
        self.stacked_constant = {
            name: StackMeter(stack, device) for name, stack in self.stacks.items() if stack.names[0] in self.same
        }

    @property
    def every(self) -> list[Meter | StackMeter]:
        """All meters, in one order on all ranks."""
        return [
            *self.meters.values(), *self.constant.values(), *self.stacked.values(), *self.stacked_constant.values()
        ]  # fmt: skip

    def run(self, model: MultiTaskModel, watcher: Watcher | None, ranks: Ranks = ALONE) -> None:
        """Take in every batch of this rank, and show it to the watcher."""
        for rows, batch in self.stream.numbered_sweep(ranks.rank, ranks.size):
            ranks.watch.moved()
            if batch.targets or batch.stacks:
                self._run_batch(model, watcher, rows, batch)
            if not ranks.alone:
                for meter in self.every:
                    meter.shard.end_batch()

    def _run_batch(self, model: MultiTaskModel, watcher: Watcher | None, rows: Tensor, batch: Batch) -> None:
        """Take in one batch."""
        if not self.stream.rows.labels_at_hand:
            check_batch(self.tasks, self.stream, batch)
        asked = [*batch.tasks, *(self.stacks[name].names[0] for name in batch.stacks)]
        with self.arithmetic.autocast():
            out = model.predict(batch.inputs, asked, batch.targets)
        if watcher is not None:
            watcher.update(self.stream.name, rows, batch.apart(), out.apart())
        for name in batch.targets:
            self._take(name, batch, out)
        for name, target in batch.stacks.items():
            self.stacked[name].update(out.stacked[target.tasks], target)
            if name in self.stacked_constant:
                self.stacked_constant[name].update(self._constants(self.stacks[name], len(target.values)), target)

    def _constants(self, stack: TaskStack[Any], rows: int) -> Tensor:
        """Return the outputs [B, T, O] of constant predictors."""
        outputs = [self.same[name] for name in stack.names]
        return torch.stack([output for output in outputs if isinstance(output, Tensor)]).expand(rows, -1, -1)

    def _take(self, name: str, batch: Batch, out: Outputs) -> None:
        target, count, weights = batch.targets[name], batch.counts[name], batch.weights.get(name)
        self.meters[name].update(out.outputs[name], target, count, out.generated.get(name), weights)
        if name in self.constant:
            constant = self.tasks[name].repeated(self.same[name], target)
            self.constant[name].update(constant, target, count, weights=weights)

    def results(self) -> dict[str, Result]:
        """Return the results by task."""
        return totals(self.meters, self.stacked)

    def constant_results(self) -> dict[str, Result]:
        """Return the results of the constant predictors by task."""
        return totals(self.constant, self.stacked_constant)


def totals(meters: Mapping[str, Meter], stacked: Mapping[str, StackMeter]) -> dict[str, Result]:
    """Return the results by task."""
    found = {name: meter.result() for name, meter in meters.items()}
    for meter in stacked.values():
        found |= meter.results()
    return found


def check_batch(tasks: Mapping[str, Task], stream: Stream, batch: Batch) -> None:
    """Look for labels that a kind of task cannot use.

    Raises:
        UserError: there is one.
    """
    columns = {task: stack.values[:, row] for stack in batch.stacks.values() for row, task in enumerate(stack.tasks)}
    for name, target in {**batch.targets, **columns}.items():
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
