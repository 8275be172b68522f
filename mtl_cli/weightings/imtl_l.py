"""Impartial multi-task learning, loss balance."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import LossWeighting, require


class IMTLL(LossWeighting):
    """Σᵢ exp(sᵢ)Lᵢ − sᵢ with learnt scales sᵢ, 0 at first, under which all scaled losses tend to 1.

    Source: Liu, Li, Kuang, Xue, Chen, Yang, Liao & Zhang, "Towards Impartial Multi-task Learning", ICLR 2021
    (IMTL-L).
    """

    def __init__(self, lr: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(lr > 0, "lr", lr, "positive", 0.025)
        self.lr = lr
        self.log_scales = nn.Parameter(torch.zeros(len(self.tasks)))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the sum over losses [K]."""
        log_scales = self.log_scales[present]
        return (torch.exp(log_scales) * losses - log_scales).sum()
