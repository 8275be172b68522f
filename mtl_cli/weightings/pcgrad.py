"""Projecting conflicting gradients."""

import torch
from torch import Tensor

from mtl_cli.weightings.gradient_base import GradientWeighting


class PCGrad(GradientWeighting):
    """The sum of gradients, each projected onto the normal plane of every other that it conflicts with.

    Source: Yu, Kumar, Gupta, Levine, Hausman & Finn, "Gradient Surgery for Multi-Task Learning", NeurIPS 2020,
    Algorithm 1. The random order of the others is drawn per task and step from the step's own stream.
    """

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        products = gramian.numpy()
        total = torch.zeros(len(gramian), dtype=torch.float64)
        for task, others in enumerate(self.random_orders(present)):
            weights = torch.zeros_like(total)
            weights[task] = 1.0
            surgery = weights.numpy()  # the same memory
            for other in others:
                if (product := products[other] @ surgery) < 0:
                    surgery[other] -= product / products[other, other]
            total += weights
        return total
