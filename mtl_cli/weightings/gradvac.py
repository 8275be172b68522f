"""Gradient vaccine."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.gradient_base import GradientWeighting

LARGEST = 1 - 1e-8
"""Largest cosine aimed at: a target of 1 would divide by 0."""


class GradVac(GradientWeighting):
    """The sum of gradients, each turned towards every other until their cosine reaches a moving average of its past.

    Source: Wang, Tsvetkov, Firat & Cao, "Gradient Vaccine: Investigating and Improving Multi-task Optimization in
    Massively Multilingual Models", ICLR 2021, algorithm 1 and equations 2 and 3, with one group of parameters. The
    random order of the others is drawn per task and step from the step's own stream.
    """

    targets: Tensor

    def __init__(self, level: str, update_every: int, match_norm: str, beta: float, *, tasks: Sequence[str]) -> None:
        super().__init__(level, update_every, match_norm, tasks=tasks)
        require(0 <= beta <= 1, "beta", beta, "between 0 and 1", 0.01)
        self.beta = beta
        self.register_buffer("targets", torch.zeros(len(self.tasks), len(self.tasks)))

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]."""
        targets = self.targets.cpu().double()[present][:, present]
        total = torch.zeros_like(losses)
        for task, others in enumerate(self.random_orders(present)):
            total += self._turned(gramian, task, others, targets)
        self.targets[present[:, None], present] = targets.to(self.targets)
        return total

    def _turned(self, gramian: Tensor, task: int, others: Sequence[int], targets: Tensor) -> Tensor:
        """Return weights [K] of one task's turned gradient, and move its targets [K, K]."""
        products = gramian.numpy()
        weights = torch.zeros(len(gramian), dtype=torch.float64)
        vector, aims = weights.numpy(), targets.numpy()  # the same memory
        vector[task] = 1.0
        for other in others:
            norm = max(vector @ products @ vector, 0.0) ** 0.5
            other_norm = products[other, other] ** 0.5
            cosine = min(max(products[other] @ vector / max(norm * other_norm, 1e-300), -1.0), 1.0)
            aim = min(aims[task, other], LARGEST)
            if cosine < aim:
                sine, aim_sine = (1 - cosine**2) ** 0.5, (1 - aim**2) ** 0.5
                vector[other] += norm * (aim * sine - cosine * aim_sine) / (other_norm * aim_sine)
            aims[task, other] = (1 - self.beta) * aims[task, other] + self.beta * cosine
        return weights
