"""Soft optimal uncertainty weighting."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting, require

EPS = 1e-20


class UWSO(LossWeighting):
    """Σᵢ ωᵢLᵢ with ω = softmax((1 / L) / temperature): the optimal uncertainty weights 1 / Lᵢ, softened.

    Source: Kirchdorfer, Elich, Kutsche, Stuckenschmidt, Schott & Köhler, "Analytical Uncertainty-Based Loss Weighting
    in Multi-Task Learning", GCPR 2024 (UW-SO). No gradient flows through ω, whose sum is 1. The temperature has the
    unit of 1 / L and is to be tuned; the higher it is, the more equal are the weights. A loss of exactly 0 counts as
    1e-20.
    """

    def __init__(self, temperature: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(temperature > 0, "temperature", temperature, "positive", 10.0)
        self.temperature = temperature

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of losses [K]."""
        inverse = 1 / losses.detach().clamp(min=EPS)
        return (torch.softmax(inverse / self.temperature, dim=0) * losses).sum()
