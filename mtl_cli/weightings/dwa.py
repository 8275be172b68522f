"""Dynamic weight average."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting, require


class DWA(LossWeighting):
    """Σᵢ λᵢLᵢ with λᵢ = K softmax(rᵢ / temperature), rᵢ the ratio of a task's mean losses in the last two epochs.

    Source: Liu, Johns & Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, equation 7. A task that
    has not been seen for two epochs has the ratio 1, as all tasks have in the first two.
    """

    linear = True
    sums: Tensor
    counts: Tensor
    last: Tensor
    before_last: Tensor

    def __init__(self, temperature: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(temperature > 0, "temperature", temperature, "positive", 2.0)
        self.temperature = temperature
        for name in ("sums", "counts"):
            self.register_buffer(name, torch.zeros(len(self.tasks)))
        for name in ("last", "before_last"):  # means of the last two epochs
            self.register_buffer(name, torch.full((len(self.tasks),), torch.nan))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of losses [K]."""
        ratios = (self.last / self.before_last)[present]
        ratios = torch.where(ratios.isfinite(), ratios, 1.0)
        return (len(losses) * torch.softmax(ratios / self.temperature, dim=0) * losses).sum()

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Add the losses to the epoch's sums."""
        finite = losses.isfinite()
        self.sums[present] += torch.where(finite, losses, 0)
        self.counts[present] += finite.float()

    def after_epoch(self) -> None:
        """Move the epoch's means into the history."""
        seen = self.counts > 0
        means = self.sums / self.counts.clamp(min=1)
        self.before_last = torch.where(seen, self.last, self.before_last)
        self.last = torch.where(seen, means, self.last)
        self.sums.zero_()
        self.counts.zero_()
