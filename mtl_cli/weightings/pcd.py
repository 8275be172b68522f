"""Priority-constrained descent."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.errors import some
from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.quadratic import least_distance_multipliers


class PCD(GradientWeighting):
    """The direction nearest to the primary task's gradient that gives every other task a part tau of its own progress.

    Source: "Not All Objectives Are Born Equal: Priority-Constrained Descent for Hierarchical Multi-Objective
    Optimization", TMLR 2026, arXiv 2606.29521: min ‖d − g̃₁‖² with g̃ⱼᵀd ≥ tau ‖g̃ⱼ‖² for gradients divided by the root of
    a moving average (decay beta, bias-corrected) of their squared norms; d is given the norm of g₁. Constraints that
    cannot hold together are all dropped, so that the step serves the primary task alone.
    Differs from it: eps is added relative to the largest moving average, so that it has no unit; and a step without the
    primary task serves the first task that is there.
    """

    scaled = False
    squares: Tensor
    counts: Tensor

    def __init__(
        self,
        level: str,
        update_every: int,
        match_norm: str,
        primary: str,
        tau: float,
        beta: float,
        eps: float,
        *,
        tasks: Sequence[str],
    ) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(primary in tasks, "primary", primary, f"the name of a task, one of {some(tasks)}", tasks[0])
        require(0 <= tau <= 1, "tau", tau, "between 0 and 1", 0.02)
        require(0 <= beta < 1, "beta", beta, "at least 0 and below 1", 0.999)
        require(eps >= 0, "eps", eps, "at least 0", 1e-8)
        self.primary = self.tasks.index(primary)
        self.tau, self.beta, self.eps = tau, beta, eps
        for name in ("squares", "counts"):
            self.register_buffer(name, torch.zeros(len(self.tasks)))

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        scales = self._scales(gramian.diagonal(), present)
        first = present.tolist().index(self.primary) if self.primary in present else 0
        others = [row for row in range(len(present)) if row != first]
        scaled = gramian * torch.outer(scales, scales)
        weights = torch.zeros_like(losses)
        weights[first] = 1.0
        weights[others] = self._multipliers(scaled[others][:, others], scaled[others, first])
        squared_norm = weights @ scaled @ weights
        if squared_norm <= 1e-12 * (weights.abs() @ scaled.diagonal().sqrt()) ** 2:
            return torch.zeros_like(weights)
        return weights * scales * (gramian[first, first] / squared_norm).sqrt()

    def _multipliers(self, gramian: Tensor, products: Tensor) -> Tensor:
        """Return the multipliers [K - 1] of the constraints: gramian of the other tasks, their products with g̃₁."""
        multipliers = least_distance_multipliers(gramian, self.tau * gramian.diagonal() - products)
        return torch.zeros_like(products) if multipliers is None else multipliers

    def _scales(self, squared_norms: Tensor, present: Tensor) -> Tensor:
        counts = self.counts[present] + 1
        squares = self.beta * self.squares[present] + (1 - self.beta) * squared_norms.to(self.squares)
        self.counts[present], self.squares[present] = counts, squares
        means = (squares / (1 - self.beta**counts)).to(squared_norms)
        return (means + self.eps * means.max()).rsqrt()
