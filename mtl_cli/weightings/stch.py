"""Smooth Tchebycheff scalarization."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting, require


class STCH(LossWeighting):
    """Kμ log Σᵢ exp(log(Lᵢ / zᵢ) / μ) after a warm-up with Σᵢ log Lᵢ, whose last epoch's mean losses are z.

    Source: Lin, Zhang, Yang, Liu, Wang & Zhang, "Smooth Tchebycheff Scalarization for Multi-Objective Optimization",
    ICML 2024; warm-up (five epochs, the last of which gives z), logarithm and nadir as in the authors' code. A task
    that was absent from that epoch has its present loss for z. A loss of exactly 0 counts as 1e-20.
    """

    scale_invariant = True
    sums: Tensor
    counts: Tensor

    def __init__(self, mu: float, warmup_epochs: int, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(mu > 0, "mu", mu, "positive", 1.0)
        require(warmup_epochs >= 1, "warmup_epochs", warmup_epochs, "at least 1", 5)
        self.mu, self.warmup_epochs = mu, warmup_epochs
        self.epoch = 0
        for name in ("sums", "counts"):
            self.register_buffer(name, torch.zeros(len(self.tasks)))

    @property
    def silent_epochs(self) -> int:
        """Epochs before the method begins."""
        return self.warmup_epochs

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the scalarization of losses [K]."""
        if self.epoch < self.warmup_epochs:
            return torch.log(losses + 1e-20).sum()
        counts = self.counts[present]
        nadir = torch.where(counts > 0, self.sums[present] / counts.clamp(min=1), losses.detach())
        logs = torch.log(losses / nadir.clamp(min=1e-20) + 1e-20)
        return len(losses) * self.mu * torch.logsumexp(logs / self.mu, dim=0)

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Collect the losses of the warm-up's last epoch."""
        if self.epoch == self.warmup_epochs - 1:
            finite = losses.isfinite()
            self.sums[present] += torch.where(finite, losses, 0)
            self.counts[present] += finite.float()

    def after_epoch(self) -> None:
        """Count the epoch."""
        self.epoch += 1

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of epochs done."""
        return {"epoch": self.epoch}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` returned."""
        self.epoch = state["epoch"]
