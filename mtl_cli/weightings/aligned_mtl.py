"""Aligned principal components."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.quadratic import rank

SCALES = ("min", "median", "rmse")


class AlignedMTL(GradientWeighting):
    """The mean of gradients whose matrix has all its singular values set to the smallest one.

    Source: Senushkin, Patakin, Kuznetsov & Konushin, "Independent Component Alignment for Multi-Task Learning",
    CVPR 2023, algorithm 1: B = √scale · V Λ^(−1/2) Vᵀ for the Gramian VΛVᵀ. `scale` is an eigenvalue of the Gramian:
    the smallest (the paper's), the lower median, or the mean (`rmse`). Where gradients are dependent, the eigenvalues
    that are 0 are left out.
    """

    def __init__(self, level: str, update_every: int, match_norm: str, scale: str, *, tasks: Sequence[str]) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(scale in SCALES, "scale", scale, ", ".join(SCALES), "min")
        self.scale = scale

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        values, vectors = torch.linalg.eigh(gramian)  # in ascending order
        kept = rank(gramian)
        values, vectors = values[-kept:], vectors[:, -kept:]
        scale = {"min": values[0], "median": values.median(), "rmse": values.mean()}[self.scale]
        mean = torch.full_like(losses, 1 / len(losses))
        return vectors @ ((scale / values).sqrt() * (vectors.T @ mean))
