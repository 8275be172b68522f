"""Mean negative log-likelihood of binary labels."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import EntryMean

EPSILON = torch.finfo(torch.float32).eps


class LogLoss(EntryMean):
    """Mean of −y·log p − (1 − y)·log(1 − p); p [B] clipped to [ε, 1 − ε], ε = 1.2e-7, as in scikit-learn.

    Target 0 … 1 [B], or [B, 2] as ranking has it, relevance first.
    """

    row_by_row = True

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in probabilities and their target."""
        relevance = (target if target.ndim == 1 else target[:, 0]).to(self.total.dtype)
        p = predictions.to(self.total.dtype).clamp(EPSILON, 1.0 - EPSILON)
        entries = -(relevance * p.log() + (1.0 - relevance) * (1.0 - p).log())
        self.add(entries, torch.ones_like(entries, dtype=torch.bool))
