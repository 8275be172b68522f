"""Projecting conflicting gradients."""

import numpy as np
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
        rows, squares = list(products), products.diagonal().tolist()
        surgeries = np.eye(len(rows))
        for surgery, others in zip(surgeries, self.random_orders(present), strict=True):
            for other in others:
                if (product := rows[other].dot(surgery)) < 0:
                    surgery[other] -= product / squares[other]
        return torch.from_numpy(surgeries.sum(axis=0))
