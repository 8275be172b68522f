"""Random loss weighting."""

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting


class RLW(LossWeighting):
    """Σᵢ λᵢLᵢ with λ = softmax of standard normal draws, new in every step.

    Source: Lin, Ye, Zhang & Tsang, "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task
    Learning", TMLR 2022, with normal draws. The draws come from the step's own stream.
    """

    linear = True

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of losses [K]."""
        draws = self.by_name(torch.randn(len(self.tasks), generator=self.stream()))
        draws = draws.to(losses.device, non_blocking=True)[present]
        return (torch.softmax(draws, dim=0).to(losses) * losses).sum()
