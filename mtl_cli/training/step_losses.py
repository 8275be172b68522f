"""The losses of one pass, each scaled by the pass's share of the step's labels, so that they add up over a step."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mtl_cli.batch import Batch, StackTarget
from mtl_cli.heads.base import tensors_of
from mtl_cli.model.members import member_loss
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.tasks.stack_base import on
from mtl_cli.training.label_counts import StepLabels
from mtl_cli.training.learner import Learner
from mtl_cli.weightings.linalg.views import Views
from mtl_cli.weightings.losses_base import Part, places


@dataclass(frozen=True)
class PassLosses:
    """Takes in what a model gives for the batches of a pass, dataset by dataset."""

    learner: Learner
    labels: StepLabels
    parts: list[Part] = field(default_factory=list)
    """The losses, with declared weights."""
    seen: list[Part] = field(default_factory=list)
    """The same without them, detached."""
    views: list[Views] = field(default_factory=list)
    """With a boundary, what the tasks of each stack have of the features."""

    def take(self, tasks: list[str], batch: Batch, out: Outputs) -> None:
        """Take in the losses of these tasks, and those of all stacks of a batch."""
        for task in tasks:
            loss, weight = self._loss(task, batch, out), self.learner.tasks[task].weight
            self.seen.append(((task,), loss.detach()))
            self.parts.append(((task,), loss if weight == 1.0 else loss * weight))
        for key, target in batch.stacks.items():
            loss, weights = self._stack_losses(key, target, out.stacked[target.tasks]), self.learner.stacks[key].weights
            weighted = loss if weights is None else loss * on(weights, loss)
            rows = None if target.present is target.tasks else places(target.tasks, target.present, loss.device)
            if rows is not None:
                loss, weighted = loss[rows], weighted[rows]
            self.seen.append((target.present, loss.detach()))
            self.parts.append((target.present, weighted))
            if out.views:
                features, values = out.views[target.tasks]
                own = self.learner.partition.stacked[target.tasks]
                self.views.append(Views(target.present, weighted, rows, features, values, own))

    def _loss(self, task: str, batch: Batch, out: Outputs) -> Tensor:
        """Return the loss of a task; 0 where it has no label in the batch."""
        if task not in batch.targets:
            return torch.stack([tensor.float().sum() for tensor in tensors_of(out.outputs[task])]).sum() * 0.0
        own, count = self.learner.tasks[task], batch.counts[task]
        full, members = count == own.labels_of(batch.rows), self.learner.model.members
        loss = member_loss(own, out.outputs[task], batch.targets[task], members, full, batch.weights.get(task))
        share = count / self.labels.totals[task]
        return loss if share == 1.0 else loss * share

    def _stack_losses(self, key: str, target: StackTarget, outputs: Tensor) -> Tensor:
        """Return the losses [T] of the tasks of a stack."""
        totals, values, members = self.labels.stack_totals[key], target.values, self.learner.model.members
        divisor = totals if isinstance(totals, int) else on(totals.clamp(min=1).float(), outputs)
        if members > 1:  # a mean over their losses is one over all rows
            values, divisor = values.repeat_interleave(members, dim=0), divisor * members
        return self.learner.stacks[key].losses(outputs, values, divisor, target.is_full)
