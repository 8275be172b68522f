"""Stochastic direction-oriented multi-objective gradient descent."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.cross_base import CrossWeighting
from mtl_cli.weightings.linalg.quadratic import project_onto_simplex


class SDMGrad(CrossWeighting):
    """Convex weights w, pulled towards the mean gradient by `strength` (λ), found on two independent batches.

    Source: Xiao, Ban & Ji, "Direction-oriented Multi-objective Learning: Simple and Provable Stochastic Algorithms",
    NeurIPS 2023, algorithm 1: num_iterations steps of projected descent, with rate `step_size` and momentum, along
    J₁J₂ᵀ(w + λ/K); the update is (w + λ/K) / (1 + λ) on a third batch. J₁J₂ᵀ is divided by the square of the mean root
    of its diagonal (section 6.1).
    Differs from it: two independent batches are the halves of one batch, and the update is taken on all of it, so that
    no gradient is spent on finding the weights alone. The authors' code adds 1e-4 to the diagonal, multiplies the
    update by K, and has the rate 10; it writes its three batches into one tensor, so that it uses the last one alone.
    """

    weights: Tensor

    def __init__(
        self,
        level: str,
        match_norm: str,
        strength: float,
        step_size: float,
        momentum: float,
        num_iterations: int,
        *,
        tasks: Sequence[str],
    ) -> None:
        super().__init__(level, match_norm, tasks=tasks)
        require(strength >= 0, "strength", strength, "at least 0", 0.3)
        require(step_size > 0, "step_size", step_size, "positive", 5.0)
        require(0 <= momentum < 1, "momentum", momentum, "at least 0 and below 1", 0.5)
        require(num_iterations >= 1, "num_iterations", num_iterations, "at least 1", 20)
        self.strength, self.step_size = strength, step_size
        self.momentum, self.num_iterations = momentum, num_iterations
        self.register_buffer("weights", torch.full((len(self.tasks),), 1 / len(self.tasks)))

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K] from the products J₁J₂ᵀ [K, K] of the two draws."""
        pull = self.strength / len(present)
        weights, velocity = self.weights[present].to(gramian), torch.zeros_like(losses)
        for _ in range(self.num_iterations):
            velocity = self.momentum * velocity + gramian @ (weights + pull)
            weights = project_onto_simplex(weights - self.step_size * velocity)
        self.weights[present] = weights.to(self.weights)
        return (weights + pull) / (1 + self.strength)
