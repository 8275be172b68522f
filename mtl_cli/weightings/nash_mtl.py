"""Nash bargaining between tasks."""

from torch import Tensor

from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.quadratic import bargaining_weights


class NashMTL(GradientWeighting):
    """The Nash bargaining solution: weights α > 0 with (Gα)ᵢ = 1 / αᵢ, G the Gramian with largest diagonal entry 1.

    Source: Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik & Fetaya, "Multi-Task Learning as a Bargaining Game",
    ICML 2022, claim 3.1.
    Differs from algorithm 1: solved by Newton's method on the convex problem whose optimality condition this is,
    instead of by a sequence of convex approximations; and the update is not clipped (`trainer.clip_norm` does that).
    Heads get the gradient of their own loss, where the authors' code gives them that of the weighted one.
    Where a convex combination of gradients is 0 there is no solution; the weights are then bounded.
    """

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        return bargaining_weights(gramian, fairness=1.0)
