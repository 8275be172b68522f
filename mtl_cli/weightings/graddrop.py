"""Gradient sign dropout."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.jacobian_base import JacobianWeighting
from mtl_cli.weightings.linalg.jacobian import CHUNK


class GradDrop(JacobianWeighting):
    """Σᵢ gᵢ where every coordinate keeps only gradients of one sign, drawn by how much of the mass is positive.

    Source: Chen, Ngiam, Huang, Luong, Kretzschmar, Chai & Anguelov, "Just Pick a Sign: Optimizing Deep Multitask Models
    with Gradient Sign Dropout", NeurIPS 2020, algorithm 1 with f the identity; `leak` lets a part of each gradient
    through.
    Differs from it: rows are taken as they are, at the parameters or at the features, without the product with the
    activations' signs and the sum over the batch.
    """

    levels: ClassVar[tuple[str, ...]] = ("parameters", "features")

    def __init__(self, level: str, match_norm: str, leak: float, *, tasks: Sequence[str]) -> None:
        super().__init__(level, match_norm, tasks=tasks)
        require(0 <= leak <= 1, "leak", leak, "between 0 and 1", 0.0)
        self.leak = leak

    def forward(self, jacobian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the update [P]."""
        draws = torch.rand(jacobian.shape[1], generator=self.stream(jacobian.device), device=jacobian.device)
        update = torch.empty_like(jacobian[0])
        for start in range(0, len(update), CHUNK):
            end = start + CHUNK
            update[start:end] = self._masked_sum(jacobian[:, start:end], draws[start:end].to(jacobian))
        return update

    def _masked_sum(self, rows: Tensor, draws: Tensor) -> Tensor:
        mass = rows.abs().sum(dim=0)
        purity = 0.5 * (1 + torch.where(mass > 0, rows.sum(dim=0) / mass, 0))
        kept = torch.where(purity > draws, rows.clamp(min=0), torch.where(purity < draws, rows.clamp(max=0), 0))
        return torch.lerp(kept, rows, self.leak).sum(dim=0)
