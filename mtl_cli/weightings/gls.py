"""Geometric loss strategy."""

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting


class GLS(LossWeighting):
    """The geometric mean of the losses, (Πᵢ Lᵢ)^(1/K).

    Source: Chennupati, Sistu, Yogamani & Rawashdeh, "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss
    Strategy for Multi-Task Learning", CVPR Workshops 2019. A loss of exactly 0 counts as 1e-20; a negative
    one gives NaN and so stops the run.
    """

    scale_invariant = True

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the geometric mean of losses [K]."""
        return torch.exp(torch.log(losses + 1e-20).mean())
