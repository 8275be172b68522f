"""Improvable gap balancing."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting, require

EPS = 1e-20


class IGB(LossWeighting):
    """Σᵢ λᵢ log Lᵢ with λ = K softmax(L / B): B are the mean losses of an early epoch, until whose end λᵢ = 1.

    Lᵢ / Bᵢ is the gap that a task can still improve, with 0 as the ideal loss.

    Source: Dai, Fei & Lu, "Improvable Gap Balancing for Multi-Task Learning", UAI 2023 (IGBv1), with the logarithm and
    the base epoch of the authors' code. A task that was absent from the base epoch counts as not improved, Lᵢ / Bᵢ = 1.
    A loss of exactly 0 counts as 1e-20; a negative one gives NaN and so stops the run.
    Differs from the paper in leaving out IGBv2, which learns λ by reinforcement learning.
    """

    scale_invariant = True
    sums: Tensor
    counts: Tensor

    def __init__(self, base_epoch: int, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(base_epoch >= 0, "base_epoch", base_epoch, "at least 0", 1)
        self.base_epoch = base_epoch
        self.epoch = 0
        for name in ("sums", "counts"):  # of the losses in the base epoch
            self.register_buffer(name, torch.zeros(len(self.tasks)))

    @property
    def silent_epochs(self) -> int:
        """Epochs before the method begins."""
        return self.base_epoch + 1

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of the logarithms of losses [K]."""
        logs = torch.log(losses + EPS)
        if self.epoch <= self.base_epoch:
            return logs.sum()
        counts = self.counts[present]
        base = self.sums[present] / counts.clamp(min=1)
        gaps = torch.where(counts > 0, losses.detach() / base.clamp(min=EPS), 1.0)
        return (len(losses) * torch.softmax(gaps, dim=0) * logs).sum()

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Collect the losses of the base epoch."""
        if self.epoch == self.base_epoch:
            finite = losses.isfinite()
            self.sums[present] += torch.where(finite, losses, 0)
            self.counts[present] += finite.float()

    def after_epoch(self) -> None:
        """Count the epoch."""
        self.epoch += 1

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of epochs done."""
        return {"epoch": self.epoch}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` returned."""
        self.epoch = state["epoch"]
