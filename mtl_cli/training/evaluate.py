"""Evaluation of a model on a split: losses and metrics of every task."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.errors import UserError
from mtl_cli.heads.base import Output, change_output
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
from mtl_cli.ranks.ranks import ALONE, Ranks
from mtl_cli.storage.memory import give_back
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.loading import Stream
from mtl_cli.training.meters import Meter, Result, StackMeter

MANY_BATCHES = 256
"""Batches after which memory that they left is given back."""


@dataclass(frozen=True)
class Evaluation:
    """What the model reaches on a split, and what constant predictors reach where they were asked for; by task."""

    results: dict[str, Result]
    constant: dict[str, Result]


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
        number = 0
        for number, (rows, batch) in enumerate(self.stream.numbered_sweep(ranks.rank, ranks.size), start=1):
            ranks.watch.moved()
            if number % MANY_BATCHES == 0:
                give_back()
            if batch.targets or batch.stacks:
                self._run_batch(model, watcher, rows, batch)
            if not ranks.alone:
                for meter in self.every:
                    meter.shard.end_batch()
        if number >= MANY_BATCHES:
            give_back()

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
