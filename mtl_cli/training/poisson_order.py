"""Which rows a draw holds where each row is drawn by itself, as the accountants of privacy assume."""

import torch
from torch import Tensor

from mtl_cli.seeding import generator
from mtl_cli.training.order import Order


class PoissonOrder(Order):
    """Each draw holds each row with the probability `rate`: a pure function of (seed, dataset's name, draw).

    A draw holds `expected_rows` on average, and may be empty. No row comes twice in one draw. As many draws make an
    epoch as batches make a pass of the plain order.
    """

    @classmethod
    def like(cls, order: Order) -> "PoissonOrder":
        """Return the draws of as many rows, on average, as the batches of another order have at most."""
        return cls(order.size, order.batch_size, order.name, order.seed, lengths=order.lengths)

    @property
    def rate(self) -> float:
        """The probability that a row is in a draw."""
        return min(1.0, self.batch_size / self.size)

    @property
    def expected_rows(self) -> float:
        """The expected number of rows of a draw."""
        return self.rate * self.size

    def rows(self, draw: int) -> Tensor:
        """Return the row indices [B] of draw number `draw` (from 0); B may be 0."""
        chances = torch.rand(self.size, generator=generator(self.seed, "poisson", self.name, draw), dtype=torch.float64)
        return (chances < self.rate).nonzero()[:, 0]
