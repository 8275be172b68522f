"""Gradient normalization."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.jacobian import row_norms


class GradNorm(GradientWeighting):
    """Learnt weights that bring each task's gradient norm to the mean norm × (relative inverse training rate)^alpha.

    Source: Chen, Badrinarayanan, Lee & Rabinovich, "GradNorm: Gradient Normalization for Adaptive Loss Balancing in
    Deep Multitask Networks", ICML 2018, equations 1 and 2; the norms come from the Gramian, so nothing is
    differentiated twice. Heads are weighted too.
    Differs from algorithm 1: the weights are K softmax of learnt logits instead of being renormalised after each step,
    so that they stay positive; the loss of the weights is divided by the mean norm, so that `lr` has no unit; and norms
    are those of all shared parameters, not of the last shared layer.
    """

    weighs_heads = True
    on_cpu = False
    first: Tensor

    def __init__(
        self, level: str, update_every: int, match_norm: str, alpha: float, lr: float, *, tasks: Sequence[str]
    ) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(alpha >= 0, "alpha", alpha, "at least 0", 1.5)
        require(lr > 0, "lr", lr, "positive", 0.025)
        self.alpha, self.lr = alpha, lr
        self.logits = nn.Parameter(torch.zeros(len(self.tasks)))
        self.register_buffer("first", torch.full((len(self.tasks),), torch.nan))
        """Loss of each task in its first step."""

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K] and add to the gradient of the logits."""
        norms, losses = row_norms(gramian).to(self.logits), losses.to(self.logits)
        usable = norms.isfinite() & losses.isfinite()
        self.first[present] = torch.where(usable & self.first[present].isnan(), losses, self.first[present])
        with torch.enable_grad():
            weights = self._weights(present)
            own = torch.where(usable, norms, 0) * weights
            mean = own.detach().sum() / usable.sum().clamp(min=1)
            ratios = torch.where(usable, losses / self.first[present].clamp(min=1e-20), 0)
            rates = ratios / (ratios.sum() / usable.sum().clamp(min=1)).clamp(min=1e-20)
            excess = torch.where(usable, (own - mean * rates**self.alpha).abs(), 0).sum() / mean.clamp(min=1e-38)
            excess.backward()
        return weights.detach()

    def head_scales(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weights [K], which the heads have too; reused ones hold the factor of a matched norm."""
        if self.reused is not None:
            return self.reused * len(present) / self.reused.sum()
        return self._weights(present).detach()

    def _weights(self, present: Tensor) -> Tensor:
        return len(present) * torch.softmax(self.logits[present], dim=0)
