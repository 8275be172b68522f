"""Multi-objective gradient with double sampling."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.cross_base import CrossWeighting
from mtl_cli.weightings.linalg.quadratic import project_onto_simplex


class MoDo(CrossWeighting):
    """Convex weights λ that follow λᵀJ₁J₂ᵀλ downhill, with Jacobians of two independent batches.

    Source: Chen, Fernando, Ying & Chen, "Three-Way Trade-Off in Multi-Objective Learning: Optimization, Generalization
    and Conflict-Avoidance", NeurIPS 2023 and JMLR 2024, equation 2.9: λ moves by gamma along J₁J₂ᵀλ + rho λ and is
    projected onto the simplex; the update is the mean of both Jacobians under λ.
    Differs from it: the independent batches are the halves of one batch, whose rows count alike where labels are
    missing; and J₁J₂ᵀ is divided by the square of the mean root of its diagonal, so that gamma has no unit.
    """

    weights: Tensor

    def __init__(self, level: str, match_norm: str, gamma: float, rho: float, *, tasks: Sequence[str]) -> None:
        super().__init__(level, match_norm, tasks=tasks)
        require(gamma > 0, "gamma", gamma, "positive", 0.1)
        require(rho >= 0, "rho", rho, "at least 0", 0.1)
        self.gamma, self.rho = gamma, rho
        self.register_buffer("weights", torch.full((len(self.tasks),), 1 / len(self.tasks)))

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K] from the products J₁J₂ᵀ [K, K] of the two draws."""
        weights = self.weights[present].to(gramian)
        weights = project_onto_simplex(weights - self.gamma * (gramian @ weights + self.rho * weights))
        self.weights[present] = weights.to(self.weights)
        return weights
