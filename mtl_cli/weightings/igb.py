"""Improvable gap balancing."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.warmup_base import WarmupWeighting

EPS = 1e-20


class IGB(WarmupWeighting):
    """Σᵢ λᵢ log Lᵢ with λ = K softmax(L / B): B are the mean losses of an early epoch, until whose end λᵢ = 1.

    Lᵢ / Bᵢ is the gap that a task can still improve, with 0 as the ideal loss.

    Source: Dai, Fei & Lu, "Improvable Gap Balancing for Multi-Task Learning", UAI 2023 (IGBv1), with the logarithm and
    the base epoch of the authors' code. A task that was absent from the base epoch counts as not improved, Lᵢ / Bᵢ = 1.
    A loss of exactly 0 counts as 1e-20; a negative one gives NaN and so stops the run.
    Differs from the paper in leaving out IGBv2, which learns λ by reinforcement learning.
    """

    scale_invariant = True

    def __init__(self, base_epoch: int, *, tasks: Sequence[str]) -> None:
        require(base_epoch >= 0, "base_epoch", base_epoch, "at least 0", 1)
        super().__init__(base_epoch + 1, tasks=tasks)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of the logarithms of losses [K]."""
        logs = torch.log(losses + EPS)
        if self.is_silent:
            return logs.sum()
        base, known = self.early_means(present)
        gaps = torch.where(known, losses.detach() / base.clamp(min=EPS), 1.0)
        return (len(losses) * torch.softmax(gaps, dim=0) * logs).sum()
