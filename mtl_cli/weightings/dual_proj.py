"""Projection of the mean gradient."""

from collections.abc import Sequence

from torch import Tensor

from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.quadratic import dual_cone_projector


class DualProj(GradientWeighting):
    """The mean gradient, projected onto the dual cone of the gradients: no task's loss goes up.

    Source: Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017, equation 11; as an
    aggregator Quinton & Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232.
    Differs from torchjd's default projector, which regularises the Gramian and so conflicts when gradients are small or
    of different scales: the projection is exact, in normalised rows.
    """

    never_conflicts = True

    def __init__(self, level: str, update_every: int, match_norm: str, *, tasks: Sequence[str]) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        from torchjd.aggregation import DualProjWeighting

        self.dual_proj = DualProjWeighting(projector=dual_cone_projector())

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        return self.dual_proj(gramian)
