"""Smooth Tchebycheff scalarization."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.warmup_base import WarmupWeighting


class STCH(WarmupWeighting):
    """Kμ log Σᵢ exp(log(Lᵢ / zᵢ) / μ) after a warm-up with Σᵢ log Lᵢ, whose last epoch's mean losses are z.

    Source: Lin, Zhang, Yang, Liu, Wang & Zhang, "Smooth Tchebycheff Scalarization for Multi-Objective Optimization",
    ICML 2024; warm-up (five epochs, the last of which gives z), logarithm and nadir as in the authors' code. A task
    that was absent from that epoch has its present loss for z. A loss of exactly 0 counts as 1e-20.
    """

    scale_invariant = True

    def __init__(self, mu: float, warmup_epochs: int, *, tasks: Sequence[str]) -> None:
        require(mu > 0, "mu", mu, "positive", 1.0)
        require(warmup_epochs >= 1, "warmup_epochs", warmup_epochs, "at least 1", 5)
        super().__init__(warmup_epochs, tasks=tasks)
        self.mu = mu

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the scalarization of losses [K]."""
        if self.is_silent:
            return torch.log(losses + 1e-20).sum()
        means, known = self.early_means(present)
        nadir = torch.where(known, means, losses.detach())
        logs = torch.log(losses / nadir.clamp(min=1e-20) + 1e-20)
        return len(losses) * self.mu * torch.logsumexp(logs / self.mu, dim=0)
