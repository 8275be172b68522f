"""Alpha-fair gradients."""

from collections.abc import Sequence

from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.quadratic import bargaining_weights


class FairGrad(GradientWeighting):
    """Weights w > 0 with (Gw)ᵢ = wᵢ^(−1/alpha): alpha-fair shares of progress; G has largest diagonal entry 1.

    Source: Ban & Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024, equation 4. alpha = 1 is Nash
    bargaining, larger alpha serves the worst-off task more.
    Differs from algorithm 1: solved by Newton's method on the convex problem whose optimality condition this is,
    instead of by non-linear least squares; and G is scaled, since the weights depend on it unless alpha = 1.
    """

    def __init__(self, level: str, update_every: int, match_norm: str, alpha: float, *, tasks: Sequence[str]) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(0.5 <= alpha <= 100, "alpha", alpha, "between 0.5 and 100", 1.0)
        self.alpha = alpha

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        return bargaining_weights(gramian, fairness=self.alpha)
