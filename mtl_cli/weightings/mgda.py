"""Multiple-gradient descent."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.jacobian import row_norms
from mtl_cli.weightings.linalg.quadratic import min_norm_weights

NORMALIZATIONS = ("none", "l2", "loss", "loss+")


class MGDA(GradientWeighting):
    """The shortest convex combination of the gradients.

    Source: Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization", Comptes Rendus
    Mathématique 350, 2012; for deep networks Sener & Koltun, "Multi-Task Learning as Multi-Objective Optimization",
    NeurIPS 2018, equation 3, whose code divides each gradient by its norm (l2), its loss (loss) or both (loss+).
    Differs from the latter: solved exactly instead of by 250 Frank-Wolfe steps; and the normalised gradients are also
    the ones combined, scaled by their smallest divisor, since their weights on the raw gradients may conflict.
    """

    never_conflicts = True

    def __init__(
        self, level: str, update_every: int, match_norm: str, normalization: str, *, tasks: Sequence[str]
    ) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(normalization in NORMALIZATIONS, "normalization", normalization, ", ".join(NORMALIZATIONS), "none")
        self.normalization = normalization

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        if self.normalization == "none":
            return min_norm_weights(gramian)
        divisors = self._divisors(gramian, losses)
        return min_norm_weights(gramian / torch.outer(divisors, divisors)) / divisors

    def _divisors(self, gramian: Tensor, losses: Tensor) -> Tensor:
        divisors = row_norms(gramian) if self.normalization in ("l2", "loss+") else torch.ones_like(losses)
        if self.normalization in ("loss", "loss+"):
            divisors = divisors * losses.abs().clamp(min=torch.finfo(losses.dtype).tiny)
        return divisors / divisors.min()
