"""Numbers as places on a line of pieces."""

import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """A number as itself and how far it is through each of Q pieces of the line: [B, N] to [B, N·(Q + 1)].

    Source: Gorishniy et al., "On embeddings for numerical features in tabular deep learning", NeurIPS 2022, eq. 1: a
    piece from a to b holds (x − a)/(b − a), not below 0 except in the first piece, not above 1 except in the last. A
    step of a linear layer's output, or a bend, then takes one weight. Differs from it in the borders, which are
    quantiles of the standard normal distribution: of inputs scaled with `scale=quantile` they are the quantiles of the
    training rows, without a look at these. The number itself stands beside them, in units that a linear rule reads.

    Args:
        pieces: Q.
    """

    low: Tensor
    size: Tensor

    def __init__(self, pieces: int) -> None:
        super().__init__()
        inner = torch.special.ndtri(torch.arange(1, pieces, dtype=torch.float64) / pieces)
        edge = max(2.5, float(inner.max()) + 0.5) if pieces > 1 else 2.5
        borders = torch.tensor([-edge, *inner.tolist(), edge], dtype=torch.float64)
        self.register_buffer("low", borders[:-1].float(), persistent=False)
        self.register_buffer("size", borders.diff().float(), persistent=False)
        self.pieces = pieces

    def forward(self, numbers: Tensor) -> Tensor:
        """Return values [B, N·(Q + 1)]."""
        through = (numbers.unsqueeze(-1) - self.low) / self.size  # [B, N, Q]
        low = torch.zeros_like(self.low)
        high = torch.ones_like(self.low)
        low[0], high[-1] = -torch.inf, torch.inf
        return torch.cat([through.clamp(low, high).flatten(1), numbers], dim=1)
