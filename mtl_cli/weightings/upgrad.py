"""Unconflicting projection of gradients."""

from collections.abc import Sequence

from torch import Tensor

from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.quadratic import dual_cone_projector


class UPGrad(GradientWeighting):
    """The mean of the gradients, each projected onto the dual cone of all of them: no task's loss goes up.

    Source: Quinton & Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232 (A_UPGrad).
    Differs from torchjd's default projector, which regularises the Gramian and so conflicts when gradients are small or
    of different scales: each projection is exact, in normalised rows.
    """

    never_conflicts = True

    def __init__(self, level: str, update_every: int, match_norm: str, *, tasks: Sequence[str]) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        from torchjd.aggregation import UPGradWeighting

        self.upgrad = UPGradWeighting(projector=dual_cone_projector())

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        return self.upgrad(gramian)
