"""Weightings that find weights from the Gramian of the tasks' gradients."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import require
from mtl_cli.weightings.linalg.jacobian import boundary_backward, boundary_rows, gramian, gramian_to_solve
from mtl_cli.weightings.losses_base import places
from mtl_cli.weightings.row_base import RowWeighting, combined_norm
from mtl_cli.weightings.step_base import Pass, Step

STEADY = 1e-6
"""A head whose task weighs less than this part of the largest weight gets a backward of its own on reuse steps."""


class GradientWeighting(RowWeighting):
    """A weighting that finds the tasks' weights from the Gramian of their gradients.

    With `update_every=k` the weights are found every k steps. In between they are reused, at the cost of one backward.
    """

    takes_stacks = True
    on_cpu: ClassVar[bool] = True
    """Whether `forward` runs on the CPU (solvers): the Gramian [K, K] crosses over, the one device sync per step."""
    scaled: ClassVar[bool] = True
    """Whether `weigh` divides out the largest row norm; not where the state compares norms of different steps."""

    def __init__(self, level: str, update_every: int, match_norm: str, *, tasks: Sequence[str]) -> None:
        super().__init__(level, match_norm, tasks=tasks)
        require(update_every >= 1, "update_every", update_every, "at least 1 step", 1)
        self.update_every = update_every
        self.kept: Tensor | None = None
        """Weights [T] found last, NaN for a task that was absent; only with update_every > 1."""
        self.found_at = 0
        """The step in which they were found."""
        self.reused: Tensor | None = None
        """Kept weights [K] that this step reuses."""

    @abstractmethod
    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K] of the tasks `present` [K] from their Gramian [K, K] and losses [K].

        Where `on_cpu`, both are float64, no row is zero or not finite, K ≥ 2, and the largest row norm is 1 (see
        `weigh`), so that a common scale of the losses does not change the weights.
        """

    def random_orders(self, present: Tensor) -> list[list[int]]:
        """Return, for each of the K present tasks, the rows 0..K−1 of the others in an order drawn for this step."""
        size = len(self.tasks)
        draws = self.by_name(self.by_name(torch.rand(size, size, generator=self.stream())).T).T  # [T, T]
        draws = draws if len(present) == size else draws[present][:, present]
        orders = draws.argsort(dim=1).tolist()
        return [[other for other in order if other != row] for row, order in enumerate(orders)]

    def weigh(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weights [K]: `forward` behind its guards, with the norm matched.

        A zero row is left out (weight 0): it would stop MGDA and others. A row or loss that is not finite is left out
        as if absent, so that it reaches no state, and weighs NaN, so that the step is seen to have failed.
        A single row weighs 1.
        """
        losses = losses.detach()
        if not self.on_cpu:
            return self._rescaled(gramian, self(gramian, losses, present).to(gramian))
        gramian, losses, present = gramian.cpu(), losses.cpu().double(), present.cpu()
        norms = gramian.diagonal().clamp(min=0).sqrt()
        numbers = zip(norms.tolist(), losses.tolist(), strict=True)
        if len(norms) > 1 and all(0 < norm < math.inf and math.isfinite(loss) for norm, loss in numbers):
            return self._solved(gramian, norms, losses, present)  # as nearly always
        finite = norms.isfinite() & losses.isfinite()
        usable = torch.nonzero(finite & (norms > 0)).flatten()
        weights = torch.zeros_like(norms)
        if len(usable) == 1:
            weights[usable] = 1.0
        elif len(usable) > 1:
            rows = gramian[usable][:, usable]
            weights[usable] = self._solved(rows, norms[usable], losses[usable], present[usable])
        weights[~finite] = torch.nan
        return weights

    def _solved(self, gramian: Tensor, norms: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weights [K] of rows that all are usable."""
        scale = max(norms.tolist()) ** 2 if self.scaled else 1.0
        return self._rescaled(gramian, self(gramian / scale, losses, present)).to(norms, copy=True)

    def _rescaled(self, gramian: Tensor, weights: Tensor) -> Tensor:
        if self.match_norm == "none":
            return weights
        return weights * self._matched(combined_norm(gramian, weights), gramian)

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Write Σ wᵢgᵢ into the shared parameters' `.grad`, and into the heads' the gradients of their own losses."""
        self.at = (step.seed, step.index)
        present = self.present(step.tasks)
        kept = self.reused = self._kept(step, present)
        if self.level == "features":
            weights = self._at_boundary(step, present, kept)
        elif kept is not None:
            weights = self._reuse(step, kept)
        else:
            weights = self._at_parameters(step, present)
        if kept is None and self.update_every > 1:
            self._keep(step, present, weights)
        return dict(zip(step.tasks, weights, strict=True))

    def _at_parameters(self, step: Step, present: Tensor) -> Tensor:
        jacobian, losses = self._record(step)
        step.sum_gradients()
        gram = gramian_to_solve(jacobian.rows) if self.on_cpu else gramian(jacobian.rows)
        weights = self.weigh(gram, losses, present)
        jacobian.combine(weights)
        self._finish(step, losses, present)
        if step.logging:
            self._note(step, step.tasks, gram, combined_norm(gram, weights.to(gram)))
        return weights

    def _at_boundary(self, step: Step, present: Tensor, kept: Tensor | None) -> Tensor:
        """Return the weights, found once per step: the features of a step are those of its micro-batches, joined.

        1. Each pass adds its Gramian to the step's, and gives heads the gradients of their own losses.
        2. The weights are found, where none are `kept`.
        3. The trunk gets the gradient of Σ wᵢLᵢ: from the graph of step 1 where it is still there, else from a replay.
        4. What the processes have is added up: Gramian and losses before the solution, gradients at the end.
        """
        above, index = self._above(step), {task: row for row, task in enumerate(step.tasks)}
        losses = torch.zeros(len(index), device=self._device(step))
        total, weights, held = None, kept, None
        for each in step.passes(boundary=True):
            boundary = [tensor for tensor in each.boundary if tensor.requires_grad]
            rows = boundary_rows(each.apart, boundary, above, index, each.views)  # [K, F]
            self._sum_losses(each, step.tasks, losses)
            if kept is None or step.logging:
                total = gramian(rows) if total is None else total + gramian(rows)
            if weights is not None:
                boundary_backward(boundary, weights.to(rows) @ rows)
            elif step.keeps_graph:
                held = boundary, rows
            del each, boundary, rows  # so that their graph is freed before the next forward
        losses = step.total(losses)
        if kept is None or step.logging:
            none = torch.zeros(len(index), len(index), dtype=torch.float64, device=losses.device)
            total = step.total(none if total is None else total)
        if weights is None:
            assert total is not None, "no weights are kept"
            weights = self.weigh(total, losses, present)
            if held is not None:
                boundary_backward(held[0], weights.to(held[1]) @ held[1])
            elif not step.keeps_graph:
                self._replay(step, weights)
        step.sum_gradients()
        self._finish(step, losses, present)
        if step.logging and total is not None:
            self._note(step, step.tasks, total, combined_norm(total, weights.to(total)))
        return weights

    @staticmethod
    def _replay(step: Step, weights: Tensor) -> None:
        """Give the trunk, and nothing above it, the gradient of Σ wᵢLᵢ in a second forward of every micro-batch."""
        for each in step.replay():
            tasks = tuple(each.losses)
            losses = each.vector(tasks)
            own = weights[places(step.tasks, tasks, weights.device)].to(losses)
            (own * losses).sum().backward(inputs=step.partition.trunk)
            del each, losses

    def _reuse(self, step: Step, weights: Tensor) -> Tensor:
        """Backpropagate Σ wᵢLᵢ once, then undo wᵢ in the heads; a head whose wᵢ is next to 0 gets its own backward."""
        by_task = dict(zip(step.tasks, weights.tolist(), strict=True))
        floor = STEADY * max(abs(weight) for weight in by_task.values())
        faint = [task for task, weight in by_task.items() if not abs(weight) > floor]
        specific = step.partition.specific
        reached = list(step.partition.shared)
        for task in step.tasks:
            reached += [] if task in faint else specific.get(task, [])
        losses = torch.zeros(len(step.tasks), device=self._device(step))
        for each in step.passes(boundary=bool(step.partition.stacked)):
            self._reuse_pass(each, by_task, reached if faint else None, {t: specific.get(t, []) for t in faint})
            self._sum_losses(each, step.tasks, losses)
            del each
        losses = step.total(losses)
        step.sum_gradients()
        for task, weight in by_task.items():
            for parameter in [] if task in faint else specific.get(task, []):
                if parameter.grad is not None:
                    parameter.grad.div_(weight)
        self._finish(step, losses, self.present(step.tasks))
        return weights

    @staticmethod
    def _reuse_pass(
        each: Pass,
        weights: Mapping[str, float],
        reached: list[nn.Parameter] | None,
        faint: Mapping[str, list[nn.Parameter]],
    ) -> None:
        """Backpropagate one pass; tasks with `views` give the trunk their weighted rows, and heads plain gradients."""
        apart = each.apart
        for task, own in faint.items():
            if own and task in apart:
                apart[task].backward(inputs=own, retain_graph=True)
        terms = [weights[task] * loss for task, loss in apart.items() if weights[task] != 0]
        roots, gradients = ([torch.stack(terms).sum()], [None]) if terms else ([], [])
        for view in each.views:
            rows = view.rows()
            if view.features.requires_grad:
                factors = torch.tensor([weights[task] for task in view.tasks]).to(rows)
                roots.append(view.features)
                gradients.append(torch.tensordot(factors, rows, dims=1))
        if roots:
            torch.autograd.backward(roots, gradients, inputs=reached)

    def _kept(self, step: Step, present: Tensor) -> Tensor | None:
        if self.kept is None or not 0 < step.index - self.found_at < self.update_every:
            return None
        kept = self.kept[present]
        return kept if bool(kept.isfinite().all()) else None

    def _keep(self, step: Step, present: Tensor, weights: Tensor) -> None:
        self.kept = torch.full((len(self.tasks),), torch.nan, dtype=torch.float64)
        self.kept[present] = weights.detach().double().cpu()
        self.found_at = step.index

    def get_extra_state(self) -> dict[str, Any]:
        """Return the kept weights and the step in which they were found."""
        return {"kept": self.kept, "found_at": self.found_at}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` returned."""
        self.kept, self.found_at = state["kept"], state["found_at"]

    @staticmethod
    def _device(step: Step) -> torch.device:
        return step.partition.shared[0].device
