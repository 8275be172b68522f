"""Sums with products of pairs of losses."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import LossWeighting, require


class TaskRelation(LossWeighting):
    """Σᵢ Lᵢ + strength · Σᵢⱼ rᵢⱼLᵢLⱼ with relations R given, or learnt on the simplex of all pairs.

    Source: no paper was found that defines it; this is the definition used here. Learnt relations are the softmax of
    logits, 0 at first, and minimise Σᵢⱼ rᵢⱼLᵢLⱼ + rᵢⱼ log rᵢⱼ, where the entropy keeps them from resting on the easiest
    pair: their optimum is rᵢⱼ ∝ exp(−LᵢLⱼ).
    """

    given: Tensor | None

    def __init__(
        self, relations: Sequence[Sequence[float]] | None, strength: float, lr: float, *, tasks: Sequence[str]
    ) -> None:
        super().__init__(tasks=tasks)
        size = len(self.tasks)
        square = relations is None or (
            len(relations) == size and all(len(row) == size and all(map(math.isfinite, row)) for row in relations)
        )
        require(square, "relations", relations, f"null or {size} rows of {size} numbers", "null")
        require(strength >= 0, "strength", strength, "at least 0", 1.0)
        require(lr > 0, "lr", lr, "positive", 0.025)
        self.strength, self.lr = strength, lr
        self.register_buffer("given", None if relations is None else torch.tensor(relations, dtype=torch.float32))
        self.logits = nn.Parameter(torch.zeros(size, size)) if relations is None else None

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the total of losses [K]."""
        if self.given is not None:
            return losses.sum() + self.strength * (losses @ self.given[present][:, present].to(losses) @ losses)
        assert self.logits is not None
        logits = self.logits[present][:, present].flatten()
        relations, logs = torch.softmax(logits, dim=0), torch.log_softmax(logits, dim=0)
        products = torch.outer(losses, losses).flatten()
        return losses.sum() + self.strength * (relations * (products + logs)).sum()
