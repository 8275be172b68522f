"""Impartial multi-task learning."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.jacobian import row_norms
from mtl_cli.weightings.linalg.quadratic import solve_cosines


class IMTL(GradientWeighting):
    """The combination, with weights that sum to 1, whose projections onto all gradients of scaled losses are equal.

    Source: Liu, Li, Kuang, Xue, Chen, Yang, Liao & Zhang, "Towards Impartial Multi-task Learning", ICLR 2021,
    algorithm 1: losses are scaled by learnt exp(sᵢ) (IMTL-L), heads get the gradients of the scaled losses, and the
    shared parameters their impartial combination (IMTL-G, by its closed form). `balance=gradients` is IMTL-G alone.
    Dependent gradients count once (Quinton & Rey, arXiv 2406.16232).
    """

    weighs_heads = True

    def __init__(
        self, level: str, update_every: int, match_norm: str, balance: str, lr: float, *, tasks: Sequence[str]
    ) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(balance in ("gradients", "both"), "balance", balance, "gradients or both", "gradients")
        require(lr > 0, "lr", lr, "positive", 0.025)
        self.lr = lr
        self.log_scales = nn.Parameter(torch.zeros(len(self.tasks))) if balance == "both" else None

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K] of the unscaled gradients."""
        scales = torch.ones_like(losses)
        if self.log_scales is not None:
            scales = self.log_scales.detach()[present].exp().to(gramian)
        inverse = 1 / (row_norms(gramian) * scales)
        projected = solve_cosines(gramian, torch.ones_like(losses)) * inverse
        total = projected.sum()
        if total.abs() <= 1e-12 * inverse.sum():
            return torch.zeros_like(projected)
        return projected / total * scales

    def head_scales(self, losses: Tensor, present: Tensor) -> Tensor | None:
        """Return exp(sᵢ) [K] where losses are balanced too."""
        return None if self.log_scales is None else self.log_scales.detach()[present].exp()

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Set the gradient of exp(sᵢ)Lᵢ − sᵢ."""
        if self.log_scales is not None:
            gradient = torch.zeros_like(self.log_scales)
            gradient[present] = self.log_scales.detach()[present].exp() * losses - 1
            self.log_scales.grad = gradient
