"""Homoscedastic uncertainty."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import LossWeighting, require


class Uncertainty(LossWeighting):
    """Σᵢ ½ exp(−sᵢ)Lᵢ + ½ sᵢ with learnt log-variances sᵢ = log σᵢ², 0 at first.

    Source: Kendall, Gal & Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
    Semantics", CVPR 2018, section 3, with s := log σ².
    Differs from it: every loss has this form, that of a regression, also where the paper's cross-entropy has no ½. The
    paper gives no start; LibMTL's is s = −0.5, which weighs losses by 0.82 at first in the place of 0.5.

    Also called: UW.
    """

    def __init__(self, lr: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(lr > 0, "lr", lr, "positive", 0.025)
        self.lr = lr
        self.log_variances = nn.Parameter(torch.zeros(len(self.tasks)))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the sum over losses [K]."""
        log_variances = self.log_variances[present]
        return (0.5 * torch.exp(-log_variances) * losses + 0.5 * log_variances).sum()
