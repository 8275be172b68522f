"""Mean negative log-likelihood of binary labels."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected

EPSILON = torch.finfo(torch.float32).eps


class LogLoss(Collected):
    """Mean of −y·log p − (1 − y)·log(1 − p); p [B] clipped to [ε, 1 − ε], ε = 1.2e-7, as in scikit-learn.

    Target 0 … 1 [B], or [B, 2] as ranking has it, relevance first.
    """

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the mean."""
        relevance = target if target.ndim == 1 else target[:, 0]
        p = predictions.clamp(EPSILON, 1.0 - EPSILON)
        return -(relevance * p.log() + (1.0 - relevance) * (1.0 - p).log()).mean()
