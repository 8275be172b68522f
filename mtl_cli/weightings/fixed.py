"""The declared weights and nothing else."""

from torch import Tensor

from mtl_cli.weightings.base import LossWeighting


class Fixed(LossWeighting):
    """Σᵢ wᵢLᵢ with the weights that the tasks declare (`tasks.<name>.weight`), which are in the losses already."""

    linear = True
    is_sum = True

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the sum of losses [K]."""
        return losses.sum()
