"""One optimizer step as a weighting sees it: lazily made forward passes over the step's micro-batches."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mtl_cli.batch import Batch
from mtl_cli.errors import RunFailure
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.seeding import seed_step
from mtl_cli.training.label_counts import Counts, StepLabels
from mtl_cli.training.learner import Learner
from mtl_cli.training.readouts import readouts
from mtl_cli.training.scaled_gradients import scaled
from mtl_cli.training.step_losses import PassLosses
from mtl_cli.training.sums import sum_by_name, sum_left, sum_reached
from mtl_cli.weightings.linalg.jacobian import Jacobian
from mtl_cli.weightings.losses_base import TaskLosses, by_task, places, plus, vector_of
from mtl_cli.weightings.readout_base import Readout
from mtl_cli.weightings.step_base import Pass


class TrainStep:
    """One optimizer step; satisfies `mtl_cli.weightings.step_base.Step`.

    `batches[draw][number]` maps a dataset to its batch; see `Weighting.num_draws` and `trainer.accumulate`. They are
    those of this rank, r of k: its number j is micro-batch r + k·j of the step. `counts[draw][number]` are the labels
    by task, under their dataset, that the ranks have in their micro-batches of this number.
    Passes are reseeded by (seed, step, dataset, draw, micro-batch): nothing to save, and repeatable.
    """

    def __init__(
        self,
        learner: Learner,
        index: int,
        batches: Sequence[Sequence[Mapping[str, Batch]]],
        logging: bool,
        counts: Sequence[Sequence[Counts]],
        scale: float = 1.0,
    ) -> None:
        self.scale = scale
        """What gradients are multiplied by on their way into the model."""
        self.index, self.seed, self.logging = index, learner.seed, logging
        self.partition = learner.partition
        self._learner, self._batches, self._ranks = learner, batches, learner.ranks
        self._counts, self.labels = counts, StepLabels(learner, counts, batches)
        self.tasks = self.labels.tasks
        self.num_draws, self.num_passes = len(batches), len(batches[0]) * self._ranks.size
        self.keeps_graph = len(batches[0]) == 1
        self.datasets = tuple(batches[0][0])
        self.notes: dict[str, Tensor] = {}
        self.losses: Mapping[str, Tensor] = {}
        """Losses by task without declared weights, detached, as the step's passes saw them."""
        self._penalties: dict[nn.Parameter, Tensor] = {}
        self._joint = learner.strategy.is_divided or (learner.norms is not None and learner.norms.joint)
        self._statistics: dict[int, list[list[tuple[Tensor, Tensor]]]] = {}
        self._is_summed = self._ranks.alone

    @property
    def batches(self) -> Sequence[Sequence[Mapping[str, Batch]]]:
        """The batches by dataset, of each draw and micro-batch."""
        return self._batches

    def condition(self, vector: Tensor) -> None:
        """Give the model the vector [T] that its features depend on in this step."""
        conditioner = self._learner.model.conditioner
        assert conditioner is not None, "a weighting that calls this has a `condition`"
        conditioner.condition(vector)

    def note(self, name: str, value: Tensor) -> None:
        """Record a scalar that is read when the step is logged."""
        self.notes[name] = value.detach()

    def share(self, task: str, draw: int) -> float:
        """Return the part of the step's labels of a task that a draw holds."""
        return self.labels.share(task, draw)

    def passes(self, draw: int = 0, boundary: bool = False) -> Iterator[Pass]:
        """Yield one Pass per micro-batch that has a label; each graph is made when it is asked for."""
        if draw == 0:
            self.losses, self._penalties, self._statistics = {}, {}, {}
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

    def losses_now(self) -> Mapping[str, Tensor]:
        """Return the step's losses under the present parameters, with the same masks, without a trace."""
        totals: Mapping[str, Tensor] = {}
        with torch.no_grad():
            for each in self.replay():
                totals = plus(totals, each.losses)
        return self._over_all(totals)

    def total(self, part: Tensor) -> Tensor:
        """Return the sum of what the ranks have of the step; the same bytes on each."""
        return self._ranks.sum_(part)

    def sum_rows(self, jacobian: Jacobian) -> None:
        """Add up the rows of gradients that the ranks have recorded, and note which parameters any of them reached."""
        if self._ranks.alone:
            return
        self._ranks.sum_(jacobian.rows)
        jacobian.filled = sum_reached(self._ranks, jacobian.filled, len(jacobian.parameters))

    def sum_gradients(self) -> None:
        """Add up the gradients, penalties and losses that the passes left on each rank."""
        if self._ranks.alone:
            return
        self._is_summed = True
        if not self._learner.strategy.is_divided:
            sum_left(self._ranks, self._learner.trained, self._penalties)
        self.losses = self._over_all(self.losses)
        if self._learner.norms is not None:
            self._learner.norms.track_all(self._statistics)

    def _over_all(self, own: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return losses by task, added up over all ranks."""
        if self._ranks.alone:
            return own
        device = self._learner.arithmetic.device
        if not self._learner.stacks:
            return sum_by_name(self._ranks, own, self.tasks, device)
        totals, tasks = torch.zeros(len(self.tasks), device=device), tuple(own)
        if tasks:
            totals[places(self.tasks, tasks, device)] = vector_of(own, tasks).detach()
        return TaskLosses([(self.tasks, self._ranks.sum_(totals))])

    def finish(self) -> None:
        """Add what the weighting does not scale: gradients of the sharing mode's regulariser and penalties."""
        regularizer = self._learner.model.sharing.regularizer()
        if regularizer is not None and regularizer.requires_grad:
            regularizer.backward()
        if not self._is_summed:
            raise RunFailure(
                "This weighting does not add up gradients over processes: its backward does not call "
                "step.sum_gradients(). Use trainer.devices=1."
            )
        for parameter, gradient in self._penalties.items():
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

    def _forwards(self, draw: int, boundary: bool, noting: bool) -> Iterator[Pass]:
        for number, batches in enumerate(self._batches[draw]):
            tasks = {dataset: self._tasks_of(batch, draw, number) for dataset, batch in batches.items()}
            if any(tasks[dataset] or batch.stacks for dataset, batch in batches.items()):
                micro = self._ranks.rank + self._ranks.size * number
                with self._learner.spans.forward:
                    done = self._forward(batches, tasks, draw, micro, boundary, noting)
                yield done

    def _tasks_of(self, batch: Batch, draw: int, number: int) -> list[str]:
        """Return the tasks, of those computed on their own, that a batch is run for: those that have a label in it.

        Where the ranks must run the same modules, as batch norms over the rows of all do, it is run for what any of
        them has a label.
        """
        counted = self._counts[draw][number].get(batch.inputs.dataset, {}) if self._joint else batch.targets
        return [task for task in counted if task in self.labels.totals]

    def _forward(
        self,
        batches: Mapping[str, Batch],
        tasks_of: Mapping[str, list[str]],
        draw: int,
        micro: int,
        boundary: bool,
        noting: bool,
    ) -> Pass:
        """Return one pass; where `noting`, its losses and penalties are kept."""
        learner = self._learner
        losses = PassLosses(learner, self.labels)
        boundaries: list[Tensor] = []
        done: list[tuple[Batch, Outputs]] = []
        for dataset, batch in batches.items():
            tasks = tasks_of[dataset]
            if not tasks and not batch.stacks:
                continue
            seed_step(learner.arithmetic.device, self.seed, "step", self.index, dataset, draw, micro)
            asked = [*tasks, *(learner.stacks[key].names[0] for key in batch.stacks)]
            with learner.arithmetic.autocast():
                out = learner.model(batch.inputs, asked, boundary, batch.targets)
            if self.scale != 1.0:
                out = out.changed(partial(scaled, factor=self.scale))
            boundaries += out.boundary
            done.append((batch, out))
            losses.take(tasks, batch, out)
            if noting and out.penalty is not None and out.penalty.requires_grad:
                self._penalise(out.penalty / (self.num_passes * len(self._batches)))
        if noting:
            self.losses = plus(self.losses, by_task(losses.seen))
        self._keep_statistics(len(self._batches[0]) * self._ranks.size * draw + micro, noting)
        return Pass(by_task(losses.parts), boundaries, micro, partial(self._readouts, done), losses.views)

    def _keep_statistics(self, number: int, noting: bool) -> None:
        """Keep what batch norms saw in a pass, by its number in the step, unless it is to leave no trace."""
        if self._learner.norms is not None:
            seen = self._learner.norms.taken()
            if noting:
                self._statistics[number] = seen

    def _readouts(self, done: Sequence[tuple[Batch, Outputs]]) -> dict[str, Readout]:
        found: dict[str, Readout] = {}
        for batch, out in done:
            found |= readouts(self._learner.model, self._learner.tasks, batch, out, self.labels.totals)
        return found

    def _penalise(self, penalty: Tensor) -> None:
        parameters = self._learner.trained
        gradients = torch.autograd.grad(penalty, parameters, retain_graph=True, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                before = self._penalties.get(parameter)
                self._penalties[parameter] = gradient if before is None else before + gradient
