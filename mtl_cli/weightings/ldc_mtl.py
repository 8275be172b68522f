"""Loss discrepancy control."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import LossWeighting, require

ROUNDING = 1e-6
"""Part of the largest weighted loss below which a difference counts as 0: no sign of a rounding error moves w."""


class LDCMTL(LossWeighting):
    """Σᵢ σᵢL̃ᵢ + strength · Σᵢ |σᵢL̃ᵢ − σᵢ₊₁L̃ᵢ₊₁| with learnt σ = softmax(w) and losses that start equal.

    L̃ᵢ = Lᵢ minⱼ Lⱼ⁰ / Lᵢ⁰, L⁰ the losses of a task's first step. The tasks are paired in the order of their names.

    Source: Xiao, Dong, Zou & Ji, "LDC-MTL: Balancing Multi-Task Learning through Scalable Loss Discrepancy Control",
    arXiv 2502.08585: the single-loop algorithm with τ = σ and the rescaled normalization of the authors' code.
    Differs from it in that w [T] is learnt directly, as in the authors' code for CelebA, where the paper has
    a router that computes it from the features. With a strength of 0.5 weights could become 0 or negative.
    """

    scale_invariant = True
    first: Tensor
    places: Tensor

    def __init__(self, strength: float, lr: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(0 <= strength < 0.5, "strength", strength, "at least 0 and below 0.5", 0.1)
        require(lr > 0, "lr", lr, "positive", 0.001)
        self.strength, self.lr = strength, lr
        self.logits = nn.Parameter(torch.zeros(len(self.tasks)))
        self.register_buffer("first", torch.full((len(self.tasks),), torch.nan))
        """Loss of each task in its first step in which it was above 0."""
        names = sorted(self.tasks)
        self.register_buffer("places", torch.tensor([names.index(task) for task in self.tasks]), persistent=False)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the scalarization of losses [K]."""
        first = self._first(losses, present)
        least = torch.where(first.isnan(), torch.inf, first).min()
        factors = torch.where(first.isnan(), 1.0, least / first)[present]
        weighted = torch.softmax(self.logits[present], dim=0).to(losses) * losses * factors
        chain = weighted[self.places[present].argsort()]
        gaps = chain[:-1] - chain[1:]
        rounding = gaps.abs() <= ROUNDING * chain.detach().abs().max()  # all are equal in the first step
        return weighted.sum() + self.strength * torch.where(rounding, 0, gaps).abs().sum()

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Keep the first losses."""
        self.first = self._first(losses, present)

    def _first(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the first losses [T] with these ones [K] where there were none, NaN where there are none yet."""
        now = losses.detach().to(self.first)
        now = torch.where(now.isfinite() & (now > 0), now, torch.nan)
        known = self.first.clone()
        known[present] = torch.where(known[present].isnan(), now, known[present])
        return known
