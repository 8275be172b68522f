"""One optimizer step as a weighting sees it: lazily made forward passes over the step's micro-batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from mtl_cli.batch import Batch
from mtl_cli.model.members import member_loss
from mtl_cli.model.multi_task_model import MultiTaskModel, Outputs
from mtl_cli.report.spans import Spans
from mtl_cli.seeding import seed_step
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.training.readouts import readouts
from mtl_cli.weightings.base import Partition, Pass
from mtl_cli.weightings.readout_base import Readout


@dataclass(frozen=True)
class Learner:
    """What every step of a run has in common: the model, its trained tasks and how it is run."""

    model: MultiTaskModel
    tasks: Mapping[str, Task]
    partition: Partition
    arithmetic: Arithmetic
    seed: int
    spans: Spans = field(default_factory=Spans)

    @cached_property
    def trained(self) -> list[nn.Parameter]:
        """The model's trained parameters: walking through the modules for them takes 50 µs a step."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]


class TrainStep:
    """One optimizer step; satisfies `mtl_cli.weightings.base.Step`.

    `batches[draw][micro]` maps a dataset to its batch; see `Weighting.num_draws` and `trainer.accumulate`.
    Passes are reseeded by (seed, step, dataset, draw, micro-batch): nothing to save, and repeatable.
    """

    def __init__(
        self, learner: Learner, index: int, batches: Sequence[Sequence[Mapping[str, Batch]]], logging: bool
    ) -> None:
        self.index, self.seed, self.logging = index, learner.seed, logging
        self.partition = learner.partition
        self._learner, self._batches = learner, batches
        self._counts = [count_labels(part) for part in batches]
        self._totals = {task: sum(counts.get(task, 0) for counts in self._counts) for task in learner.tasks}
        self.tasks = tuple(task for task, total in self._totals.items() if total)
        self.num_passes = len(batches[0])
        self.datasets = tuple(batches[0][0])
        self.notes: dict[str, Tensor] = {}
        self.losses: dict[str, Tensor] = {}
        """Losses by task without declared weights, detached, as the step's passes saw them."""
        self._penalties: list[tuple[nn.Parameter, Tensor]] = []

    def note(self, name: str, value: Tensor) -> None:
        """Record a scalar that is read when the step is logged."""
        self.notes[name] = value.detach()

    def share(self, task: str, draw: int) -> float:
        """Return the part of the step's labels of a task that a draw holds."""
        return self._counts[draw].get(task, 0) / self._totals[task]

    def passes(self, draw: int = 0, boundary: bool = False) -> Iterator[Pass]:
        """Yield one Pass per micro-batch that has a label; each graph is made when it is asked for."""
        if draw == 0:
            self.losses, self._penalties = {}, []
        return self._forwards(draw, boundary, noting=True)

    def replay(self) -> Iterator[Pass]:
        """Yield the passes of all draws once more, with the same masks, without a trace."""
        buffers = [(buffer, buffer.clone()) for buffer in self._learner.model.buffers()]
        try:
            for draw in range(len(self._batches)):
                yield from self._forwards(draw, boundary=False, noting=False)
        finally:
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)

    def losses_now(self) -> dict[str, Tensor]:
        """Return the step's losses under the present parameters, with the same masks, without a trace."""
        totals: dict[str, Tensor] = {}
        with torch.no_grad():
            for each in self.replay():
                for task, loss in each.losses.items():
                    totals[task] = totals[task] + loss if task in totals else loss
        return totals

    def finish(self) -> None:
        """Add what the weighting does not scale: gradients of the sharing mode's regulariser and penalties."""
        regularizer = self._learner.model.sharing.regularizer()
        if regularizer is not None and regularizer.requires_grad:
            regularizer.backward()
        for parameter, gradient in self._penalties:
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

    def _forwards(self, draw: int, boundary: bool, noting: bool) -> Iterator[Pass]:
        for micro, batches in enumerate(self._batches[draw]):
            if any(task in self._learner.tasks for batch in batches.values() for task in batch.targets):
                with self._learner.spans.forward:
                    done = self._forward(batches, draw, micro, boundary, noting)
                yield done

    def _forward(self, batches: Mapping[str, Batch], draw: int, micro: int, boundary: bool, noting: bool) -> Pass:
        """Return one pass; where `noting`, its losses and penalties are kept."""
        learner = self._learner
        losses: dict[str, Tensor] = {}
        boundaries: list[Tensor] = []
        done: list[tuple[Batch, Outputs]] = []
        for dataset, batch in batches.items():
            tasks = [task for task in batch.targets if task in learner.tasks]
            if not tasks:
                continue
            seed_step(learner.arithmetic.device, self.seed, "step", self.index, dataset, draw, micro)
            with learner.arithmetic.autocast():
                out = learner.model(batch.inputs, tasks, boundary, batch.targets)
            boundaries += out.boundary
            done.append((batch, out))
            for task in tasks:
                share = batch.counts[task] / self._totals[task]
                outputs, target = out.outputs[task], batch.targets[task]
                full = batch.counts[task] == learner.tasks[task].labels_of(batch.rows)
                weights = batch.weights.get(task)
                loss = member_loss(learner.tasks[task], outputs, target, learner.model.members, full, weights)
                loss = loss if share == 1.0 else loss * share
                if noting:
                    value = loss.detach()
                    self.losses[task] = self.losses[task] + value if task in self.losses else value
                weight = learner.tasks[task].weight
                losses[task] = loss if weight == 1.0 else loss * weight
            if noting and out.penalty is not None and out.penalty.requires_grad:
                self._penalise(out.penalty / (self.num_passes * len(self._batches)))
        return Pass(losses, boundaries, micro, partial(self._readouts, done))

    def _readouts(self, done: Sequence[tuple[Batch, Outputs]]) -> dict[str, Readout]:
        found: dict[str, Readout] = {}
        for batch, out in done:
            found |= readouts(self._learner.model, self._learner.tasks, batch, out, self._totals)
        return found

    def _penalise(self, penalty: Tensor) -> None:
        parameters = self._learner.trained
        gradients = torch.autograd.grad(penalty, parameters, retain_graph=True, allow_unused=True)
        self._penalties += [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]


def count_labels(batches: Sequence[Mapping[str, Batch]]) -> dict[str, int]:
    """Return the labels of each task over the micro-batches of a step."""
    totals: dict[str, int] = {}
    for micro in batches:
        for batch in micro.values():
            for task, count in batch.counts.items():
                totals[task] = totals.get(task, 0) + count
    return totals
