"""Weightings that combine the tasks' gradients: where these are taken, and how the update reaches the parameters."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.jacobian import Jacobian, boundary_backward, boundary_rows, cosines, gramian, row_norms
from mtl_cli.weightings.base import Pass, Setting, Step, Weighting, require

STEADY = 1e-6
"""A head whose task weighs less than this part of the largest weight gets a backward of its own on reuse steps."""


class RowWeighting(Weighting):
    """What gradient and Jacobian weightings have in common: rows of gradients, one a task.

    `level=parameters` takes them at the shared parameters, one backward a task. `level=features` takes them at the
    boundary, where shared computation hands over to the tasks, and needs one trunk backward; it balances another
    quantity (MGDA-UB, Sener & Koltun, NeurIPS 2018, section 3.3) and solves once a micro-batch.
    Heads get the gradient of their own loss. `match_norm=sum` gives the update the norm of the plain sum of gradients.
    """

    needs_shared = True
    min_tasks = 2
    levels: ClassVar[tuple[str, ...]] = ("parameters", "features")

    def __init__(self, level: str, match_norm: str, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(level in self.levels, "level", level, " or ".join(self.levels), self.levels[0])
        require(match_norm in ("none", "sum"), "match_norm", match_norm, "none or sum", "none")
        self.level = level
        self.match_norm = match_norm
        self.jacobians: dict[int, Jacobian] = {}
        """Buffers, made at the first step."""

    @property
    def uses_boundary(self) -> bool:
        """Whether `backward` asks the step for boundaries."""
        return self.level == "features"

    def problems(self, setting: Setting) -> list[str]:
        """Return what keeps this weighting from serving a run, each with the override that mends it."""
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

    def head_scales(self, losses: Tensor, present: Tensor) -> Tensor | None:
        """Return factors [K] for the gradients of the tasks' own parameters; None, the default, leaves them plain."""
        return None

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Take note of the step's losses [K], once a step; nothing by default."""

    def _record(self, step: Step, draw: int = 0, slot: int = 0) -> tuple[Jacobian, Tensor]:
        """Return the Jacobian of a draw's losses, summed over its micro-batches, in buffer `slot`, and the losses."""
        jacobian = self.jacobians.get(slot)
        if jacobian is None or not jacobian.serves(step.partition.shared, len(self.tasks)):
            jacobian = self.jacobians[slot] = Jacobian(step.partition.shared, len(self.tasks))
        rows = {task: row for row, task in enumerate(step.tasks)}
        totals = torch.zeros(len(rows), device=jacobian.buffer.device)
        with jacobian.recording(len(rows)):
            for each in step.passes(draw=draw):
                jacobian.add(each.losses, rows)
                self._sum_losses(each, rows, totals)
                del each  # so that its graph is freed before the next forward
        return jacobian, totals

    def _finish(self, step: Step, losses: Tensor, present: Tensor, factor: float = 1.0) -> None:
        """Scale the heads' gradients where the method or `factor` asks for it, and let the method observe."""
        scales = self.head_scales(losses, present)
        if scales is not None or factor != 1.0:
            factors = torch.full_like(losses, factor) if scales is None else scales.detach().to(losses) * factor
            for task, scale in zip(step.tasks, factors, strict=True):
                for parameter in step.partition.specific.get(task, []):
                    if parameter.grad is not None:
                        parameter.grad.mul_(scale)
        self.observe(losses, present)

    @staticmethod
    def _sum_losses(each: Pass, rows: Mapping[str, int], totals: Tensor) -> None:
        for task, loss in each.losses.items():
            totals[rows[task]] += loss.detach()

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
        """Note cosines of all pairs, the fraction that conflicts and the update's norm, without a device sync."""
        step.note("update_norm", norm)
        if len(tasks) < 2:
            return
        cosine = cosines(gram)
        pairs = [(i, j) for i in range(len(tasks)) for j in range(i + 1, len(tasks))]
        for i, j in pairs:
            step.note(f"cosine/{tasks[i]}/{tasks[j]}", cosine[i, j])
        first, second = zip(*pairs, strict=True)
        step.note("conflicts", (cosine[list(first), list(second)] < 0).double().mean())


class GradientWeighting(RowWeighting):
    """A weighting that finds the tasks' weights from the Gramian of their gradients.

    With `update_every=k` the weights are found every k steps and reused in between at the cost of one backward.
    """

    on_cpu: ClassVar[bool] = True
    """Whether `forward` runs on the CPU (solvers): the Gramian [K, K] crosses over, the one device sync of a step."""
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
        orders = draws[present][:, present].argsort(dim=1).tolist()
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
        finite = norms.isfinite() & losses.isfinite()
        usable = torch.nonzero(finite & (norms > 0)).flatten()
        weights = torch.zeros_like(norms)
        if len(usable) == 1:
            weights[usable] = 1.0
        elif len(usable) > 1:
            rows = gramian[usable][:, usable]
            scale = norms[usable].max().square() if self.scaled else 1.0
            weights[usable] = self._rescaled(rows, self(rows / scale, losses[usable], present[usable]))
        weights[~finite] = torch.nan
        return weights

    def _rescaled(self, gramian: Tensor, weights: Tensor) -> Tensor:
        if self.match_norm == "none":
            return weights
        return weights * self._matched(_norm(gramian, weights), gramian)

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Write Σ wᵢgᵢ into the shared parameters' `.grad`, and into the heads' the gradients of their own losses."""
        self.at = (step.seed, step.index)
        present = self.present(step.tasks)
        kept = self._kept(step, present)
        if self.level == "features":
            weights = self._at_boundary(step, kept)
        elif kept is not None:
            weights = self._reuse(step, kept)
        else:
            weights = self._at_parameters(step, present)
        if kept is None and self.update_every > 1:
            self._keep(step, present, weights)
        return dict(zip(step.tasks, weights, strict=True))

    def _at_parameters(self, step: Step, present: Tensor) -> Tensor:
        jacobian, losses = self._record(step)
        gram = gramian(jacobian.rows)
        weights = self.weigh(gram, losses, present)
        jacobian.combine(weights)
        self._finish(step, losses, present)
        if step.logging:
            self._note(step, step.tasks, gram, _norm(gram, weights.to(gram)))
        return weights

    def _at_boundary(self, step: Step, kept: Tensor | None) -> Tensor:
        above = self._above(step)
        rows = {task: row for row, task in enumerate(step.tasks)}
        total = torch.zeros(len(rows), dtype=torch.float64)
        losses = torch.zeros(len(rows), device=self._device(step))
        count = torch.zeros(len(rows), dtype=torch.float64)
        for number, each in enumerate(step.passes(boundary=True)):
            self.at = (step.seed, step.index, number)
            self._sum_losses(each, rows, losses)
            here = [rows[task] for task in each.losses]
            weights = self._boundary_pass(step, each, above, None if kept is None else kept[here])
            total = total.to(weights)
            total[here] += weights
            count[here] += 1
            del each
        self._finish(step, losses, self.present(step.tasks))
        return total / count.clamp(min=1).to(total)

    def _boundary_pass(
        self, step: Step, each: Pass, above: Mapping[str, Sequence[nn.Parameter]], kept: Tensor | None
    ) -> Tensor:
        boundary = [tensor for tensor in each.boundary if tensor.requires_grad]
        rows = boundary_rows(each.losses, boundary, above)  # [K, F]
        gram, weights = None, kept
        if weights is None or step.logging:
            gram = gramian(rows)
        if weights is None:
            losses = torch.stack([loss.detach() for loss in each.losses.values()])
            assert gram is not None
            weights = self.weigh(gram, losses, self.present(tuple(each.losses)))
        boundary_backward(boundary, weights.to(rows) @ rows)
        if gram is not None and step.logging:
            self._note(step, tuple(each.losses), gram, _norm(gram, weights.to(gram)))
        return weights

    def _reuse(self, step: Step, weights: Tensor) -> Tensor:
        """Backpropagate Σ wᵢLᵢ once, then undo wᵢ in the heads; a head whose wᵢ is next to 0 gets its own backward."""
        by_task = dict(zip(step.tasks, weights.tolist(), strict=True))
        floor = STEADY * max(abs(weight) for weight in by_task.values())
        faint = [task for task, weight in by_task.items() if not abs(weight) > floor]
        specific = step.partition.specific
        reached = list(step.partition.shared)
        for task in step.tasks:
            reached += [] if task in faint else specific.get(task, [])
        rows = {task: row for row, task in enumerate(step.tasks)}
        losses = torch.zeros(len(rows), device=self._device(step))
        for each in step.passes():
            self._reuse_pass(each, by_task, reached if faint else None, {t: specific.get(t, []) for t in faint})
            self._sum_losses(each, rows, losses)
            del each
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
        for task, own in faint.items():
            if own and task in each.losses:
                each.losses[task].backward(inputs=own, retain_graph=True)
        terms = [weights[task] * loss for task, loss in each.losses.items() if weights[task] != 0]
        if terms:
            torch.stack(terms).sum().backward(inputs=reached)

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


def _norm(gram: Tensor, weights: Tensor) -> Tensor:
    """Return ‖Σ wᵢgᵢ‖ from the Gramian."""
    return (weights @ gram @ weights).clamp(min=0).sqrt()


class JacobianWeighting(RowWeighting):
    """A weighting that finds the update from the rows themselves; its state may be as large as they are."""

    levels: ClassVar[tuple[str, ...]] = ("parameters",)
    used: Tensor | None = None
    """Weights [K] behind the last update, where the method has any."""

    @abstractmethod
    def forward(self, jacobian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the update [P]: jacobian [K, P] and losses [K] of the tasks `present` [K]."""

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Write the update into the shared parameters' `.grad`, and into the heads' the gradients of their losses."""
        self.at = (step.seed, step.index)
        present = self.present(step.tasks)
        if self.level == "features":
            self._at_boundary(step)
        else:
            jacobian, losses = self._record(step)
            jacobian.write(self._update(step, step.tasks, jacobian.rows, losses))
            self._finish(step, losses, present)
        return {} if self.used is None else dict(zip(step.tasks, self.used, strict=True))

    def _at_boundary(self, step: Step) -> None:
        above = self._above(step)
        for number, each in enumerate(step.passes(boundary=True)):
            self.at = (step.seed, step.index, number)
            boundary = [tensor for tensor in each.boundary if tensor.requires_grad]
            rows = boundary_rows(each.losses, boundary, above)
            losses = torch.stack([loss.detach() for loss in each.losses.values()])
            boundary_backward(boundary, self._update(step, tuple(each.losses), rows, losses))
            del each

    def _update(self, step: Step, tasks: Sequence[str], rows: Tensor, losses: Tensor) -> Tensor:
        update = self(rows, losses, self.present(tasks))
        if step.logging or self.match_norm != "none":
            gram = gramian(rows)
            norm = torch.linalg.vector_norm(update).double()
            factor = self._matched(norm, gram)
            update = update * factor.to(update)
            if step.logging:
                self._note(step, tasks, gram, norm * factor)
        return update

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        for name, buffer in list(self._buffers.items()):  # made at the first step, when P is known
            saved = state_dict.get(prefix + name)
            if buffer is not None and saved is not None and saved.shape != buffer.shape:
                self._buffers[name] = torch.empty_like(saved, device=buffer.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


class CrossWeighting(RowWeighting):
    """A weighting that finds weights from the products of rows of two independent draws.

    With two draws the update is their mean; with three, the third alone. Heads get the mean over all draws.
    """

    levels: ClassVar[tuple[str, ...]] = ("parameters",)

    @abstractmethod
    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]: gramian [K, K] holds J₁J₂ᵀ, divided by the square of the mean root of its diagonal."""

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Write the weighted update into the shared parameters' `.grad`, and into the heads' the gradients' mean."""
        self.at = (step.seed, step.index)
        present = self.present(step.tasks)
        one, losses = self._record(step, 0)
        two, _ = self._record(step, 1, slot=1)
        cross = gramian(one.rows, two.rows)
        weights = self.weigh(cross, losses, present)
        if self.num_draws == 3:
            one, _ = self._record(step, 2)
        else:
            one.average(two)
        if step.logging or self.match_norm != "none":
            gram = gramian(one.rows)
            norm = _norm(gram, weights)
            factor = self._matched(norm, gram)
            weights = weights * factor
            if step.logging:
                self._note(step, step.tasks, gram, norm * factor)
        one.combine(weights)
        self._finish(step, losses, present, 1 / self.num_draws)
        return dict(zip(step.tasks, weights, strict=True))

    def weigh(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weights [K]: `forward` behind its scaling, without a device sync."""
        scale = gramian.diagonal().clamp(min=0).sqrt().mean().square()
        return self(torch.where(scale > 0, gramian / scale, 0), losses.detach().to(gramian), present)
