"""Tilted losses."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting, require


class Tilted(LossWeighting):
    """K/t · log (Σᵢ exp(t·Lᵢ) / K): near the sum of K losses for small t, near K times the worst loss for large t.

    Source: Li, Beirami, Sanjabi, Smith, "Tilted Empirical Risk Minimization", ICLR 2021, equation 2.
    """

    def __init__(self, t: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(t > 0, "t", t, "a number > 0", 1.0)
        self.t = t

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the tilted sum of losses [K]."""
        count = len(losses)
        return count / self.t * (torch.logsumexp(self.t * losses, dim=0) - math.log(count))
