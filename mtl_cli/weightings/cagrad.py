"""Conflict-averse gradient descent."""

from collections.abc import Sequence

from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting


class CAGrad(GradientWeighting):
    """The vector within c · ‖mean gradient‖ of the mean gradient that serves the worst-off task most.

    Source: Liu, Liu, Jin, Stone & Liu, "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021,
    algorithm 1; the dual problem is solved by torchjd with CLARABEL, on the Gramian divided by its trace. Needs
    `pip install 'mtl-cli[solvers]'`.
    """

    def __init__(self, level: str, update_every: int, match_norm: str, c: float, *, tasks: Sequence[str]) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(c >= 0, "c", c, "at least 0", 0.4)
        from torchjd.aggregation import CAGradWeighting

        try:
            self.cagrad = CAGradWeighting(c, norm_eps=1e-9)
        except ImportError as error:
            raise ValueError(
                "weighting=cagrad needs cvxpy and clarabel. Install them with: pip install 'mtl-cli[solvers]'"
            ) from error

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        return self.cagrad(gramian)
