"""Conflict-free inverse gradients."""

import torch
from torch import Tensor

from mtl_cli.weightings.gradient_base import GradientWeighting
from mtl_cli.weightings.linalg.jacobian import cosines, row_norms
from mtl_cli.weightings.linalg.quadratic import solve_cosines


class ConFIG(GradientWeighting):
    """The direction with the same cosine to every gradient, as long as the gradients' projections onto it together.

    Source: Liu, Chu & Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks", ICLR 2025,
    equation 2: the pseudo-inverse of the matrix of unit gradients times 1. It is free of conflicts where the gradients
    are independent, and not where 0 is a positive combination of them.
    """

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        units, norms = cosines(gramian), row_norms(gramian)
        direction = solve_cosines(gramian, torch.ones_like(losses))
        products = units @ direction
        squared_norm = direction @ products
        if squared_norm < 1e-12:
            return torch.zeros_like(direction)
        return direction / norms * (norms @ products) / squared_norm
