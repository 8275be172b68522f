"""Scale-invariant sum."""

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting


class ScaleInvariant(LossWeighting):
    """Σᵢ log Lᵢ, whose gradient does not change when a loss is multiplied by a constant.

    Source: the baseline "SI" of Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, section 6. A loss
    of exactly 0 counts as 1e-20; a negative one gives NaN and so stops the run.
    """

    scale_invariant = True

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the sum of the logarithms of losses [K]."""
        return torch.log(losses + 1e-20).sum()
