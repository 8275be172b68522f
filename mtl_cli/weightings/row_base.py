"""What weightings that combine the tasks' gradients have in common: rows of gradients, one per task."""

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import Weighting, require
from mtl_cli.weightings.linalg.jacobian import Jacobian, cosines, row_norms
from mtl_cli.weightings.losses_base import places
from mtl_cli.weightings.step_base import Pass, Setting, Step

MAX_PAIRED = 32
"""Tasks up to which the cosine of each pair is in the records: 496 numbers; of 617 tasks they would be 190,000."""
LONG = 0.5
"""Part of an average of gradients that is kept in a step, above which two of them in a row slow a run down."""


class RowWeighting(Weighting):
    """What gradient and Jacobian weightings have in common: rows of gradients, one per task.

    `level=parameters` takes them at the shared parameters, one backward per task. `level=features` takes them at the
    boundary, where shared computation hands over to the tasks, and needs one trunk backward; it balances another
    quantity (MGDA-UB, Sener & Koltun, NeurIPS 2018, section 3.3). The features of a step are those of its
    micro-batches, joined: Gramians add up and are solved once, and with several of them the trunk runs forward twice.
    Heads get the gradient of their own loss. `match_norm=sum` gives the update the norm of the plain sum of gradients.
    """

    needs_shared = True
    min_tasks = 2
    weighs_heads: ClassVar[bool] = False
    """Whether the heads' gradients are weighted too, as the method's paper does; else heads get those of their own."""
    tracks_gradients: ClassVar[bool] = False
    """Whether its weights belong to gradients that it tracks over steps, instead of this step's."""
    no_average: ClassVar[str] = ""
    """The overrides that turn its average of gradients over steps off."""
    never_conflicts: ClassVar[bool] = False
    """Whether the update never has a negative product with a task's gradient, whatever the gradients are."""
    levels: ClassVar[tuple[str, ...]] = ("parameters", "features")

    def __init__(self, level: str, match_norm: str, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(level in self.levels, "level", level, " or ".join(self.levels), self.levels[0])
        require(match_norm in ("none", "sum"), "match_norm", match_norm, "none or sum", "none")
        self.level = level
        self.match_norm = match_norm
        self.jacobians: dict[int, Jacobian] = {}
        """Buffers, made at the first step."""

    def problems(self, setting: Setting) -> list[str]:
        """Return what keeps this weighting from serving a run, each with the override that fixes it."""
        found = super().problems(setting)
        if self.level == "features" and setting.num_datasets > 1:
            found.append(
                "weighting.level=features needs tasks of one dataset, since gradients of different samples are "
                f"never compared, and there are {setting.num_datasets}. Use weighting.level=parameters."
            )
        if self.level == "features" and not setting.has_boundary and setting.num_shared:
            found.append(
                "weighting.level=features needs a sharing mode whose tasks start from common features. "
                "Use weighting.level=parameters, or sharing=hard."
            )
        return found

    def cautions(self, setting: Setting) -> list[str]:
        """Return what makes the method other than it seems in a run that it can serve, each with an override."""
        found = super().cautions(setting)
        if self.kept_average > LONG and setting.momentum > LONG:
            found.append(
                f"{type(self).__name__} averages the gradients of several steps, and the optimizer does so again "
                f"(momentum {setting.momentum:g}): such runs learn slowly. Use {self.no_average}."
            )
        return found

    @property
    def kept_average(self) -> float:
        """Part that stays, in a late step, of an average of gradients over steps; 0 without one."""
        return 0.0

    def head_scales(self, losses: Tensor, present: Tensor) -> Tensor | None:
        """Return factors [K] for the gradients of the tasks' own parameters; None, the default, leaves them plain."""
        return None

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Take note of the step's losses [K], once per step; nothing by default."""

    def _record(self, step: Step, draw: int = 0, slot: int = 0) -> tuple[Jacobian, Tensor]:
        """Return the Jacobian of a draw's losses, summed over all micro-batches, in buffer `slot`, and the losses."""
        jacobian = self.jacobians.get(slot)
        if jacobian is None or not jacobian.serves(step.partition.shared, len(self.tasks)):
            jacobian = self.jacobians[slot] = Jacobian(step.partition.shared, len(self.tasks))
        rows = {task: row for row, task in enumerate(step.tasks)}
        totals = torch.zeros(len(rows), device=jacobian.buffer.device)
        with jacobian.recording(len(rows)):
            for each in step.passes(draw=draw, boundary=bool(step.partition.stacked)):
                jacobian.add(each.apart, rows, each.views)
                self._sum_losses(each, step.tasks, totals)
                del each  # so that its graph is freed before the next forward
        step.sum_rows(jacobian)
        return jacobian, step.total(totals)

    def _finish(self, step: Step, losses: Tensor, present: Tensor) -> None:
        """Scale the heads' gradients where the method asks for it, and let the method observe."""
        scales = self.head_scales(losses, present)
        if scales is not None:
            self._scale_heads(step, scales.detach().to(losses))
        self.observe(losses, present)

    @staticmethod
    def _scale_heads(step: Step, scales: Tensor) -> None:
        """Multiply the gradients of the present tasks' own parameters by factors [K]."""
        if step.partition.specific:
            for task, scale in zip(step.tasks, scales, strict=True):
                for parameter in step.partition.specific.get(task, []):
                    if parameter.grad is not None:
                        parameter.grad.mul_(scale)
        for names, parameters in step.partition.stacked.items():
            here = set(step.tasks)
            labelled = tuple(task for task in names if task in here)
            factors = torch.ones(len(names), device=scales.device)
            factors[places(names, labelled, scales.device)] = scales[places(step.tasks, labelled, scales.device)]
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(factors.reshape(-1, *[1] * (parameter.ndim - 1)))

    @staticmethod
    def _sum_losses(each: Pass, tasks: tuple[str, ...], totals: Tensor) -> None:
        """Add the losses of a pass to the totals [K] of the step's tasks."""
        own = tuple(each.losses)
        if own == tasks:
            totals += each.vector(own).detach()
        elif own:
            totals[places(tasks, own, totals.device)] += each.vector(own).detach()

    @staticmethod
    def _above(step: Step) -> dict[str, list[nn.Parameter]]:
        above = {id(parameter) for parameter in step.partition.above}
        shared = [parameter for parameter in step.partition.shared if id(parameter) in above]
        return {
            task: shared + [p for p in step.partition.specific.get(task, []) if id(p) in above] for task in step.tasks
        }

    def _matched(self, norm: Tensor, gram: Tensor) -> Tensor:
        """Return the factor that gives an update of this norm the norm of the sum of gradients."""
        if self.match_norm == "none":
            return torch.ones_like(norm)
        total = gram.sum().clamp(min=0).sqrt()
        return torch.where(norm > 1e-6 * row_norms(gram).max(), total / norm, 1.0)

    @staticmethod
    def _note(step: Step, tasks: Sequence[str], gram: Tensor, norm: Tensor) -> None:
        """Note cosines of pairs of not too many tasks, the fraction that conflicts and the update's norm; no sync."""
        step.note("update_norm", norm)
        if len(tasks) < 2:
            return
        cosine = cosines(gram)
        if len(tasks) <= MAX_PAIRED:
            for i, j in itertools.combinations(range(len(tasks)), 2):
                step.note(f"cosine/{tasks[i]}/{tasks[j]}", cosine[i, j])
        first, second = torch.triu_indices(len(tasks), len(tasks), offset=1, device=cosine.device)
        step.note("conflicts", (cosine[first, second] < 0).double().mean())


def combined_norm(gram: Tensor, weights: Tensor) -> Tensor:
    """Return ‖Σ wᵢgᵢ‖ from the Gramian."""
    return (weights @ gram @ weights).clamp(min=0).sqrt()
