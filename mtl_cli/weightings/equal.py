"""Equal weights."""

from torch import Tensor

from mtl_cli.weightings.base import LossWeighting


class Equal(LossWeighting):
    """Σᵢ Lᵢ: every task weighs 1.

    Also called: EW.
    """

    linear = True
    scale_invariant = True

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the sum of losses [K]."""
        return losses.sum()
