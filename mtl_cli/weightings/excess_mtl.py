"""Excess risks."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.jacobian_base import JacobianWeighting
from mtl_cli.weightings.linalg.jacobian import CHUNK

EPS = 1e-7


class ExcessMTL(JacobianWeighting):
    """Convex weights that grow exponentially with each task's excess risk gᵀ diag(Σ g²)^(−1/2) g.

    Source: He, Zhou, Zhang, Yun, Xu, Zeng, Chilimbi & Zhao, "Robust Multi-Task Learning with Excess Risks", ICML 2024,
    equations 6, 7 and 9 and the scaling of section 3.2: a task's risk is divided by that of its first step.
    `robust_step_size` is η. Its state has T·P numbers.
    Differs from it: heads get the gradient of their own loss, not of the weighted one.
    """

    squares: Tensor
    log_weights: Tensor
    first: Tensor

    def __init__(self, level: str, match_norm: str, robust_step_size: float, *, tasks: Sequence[str]) -> None:
        super().__init__(level, match_norm, tasks=tasks)
        require(robust_step_size > 0, "robust_step_size", robust_step_size, "positive", 0.01)
        self.robust_step_size = robust_step_size
        size = len(self.tasks)
        self.register_buffer("squares", torch.zeros(size, 0))  # Σ g² [T, P] from the first step on
        self.register_buffer("log_weights", torch.full((size,), -math.log(size)))
        self.register_buffer("first", torch.full((size,), torch.nan))

    def forward(self, jacobian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the update [P]."""
        if not self.squares.numel():
            self.squares = jacobian.new_zeros(len(self.tasks), jacobian.shape[1])
        risks = torch.stack([self._risk(row, task) for row, task in zip(jacobian, self.numbers(present), strict=True)])
        first = self.first[present]
        self.first[present] = first = torch.where(first.isnan(), risks.to(first), first)
        old = self.log_weights[present]
        grown = old + self.robust_step_size * risks.to(old) / (first + EPS)
        mass = torch.logsumexp(old, dim=0)  # what the present tasks weigh together stays as it is
        self.log_weights[present] = torch.log_softmax(grown, dim=0) + mass
        self.used = (self.log_weights[present] - mass).exp()
        return self.used.to(jacobian) @ jacobian

    def _risk(self, row: Tensor, task: int) -> Tensor:
        total = row.new_zeros(())
        for start in range(0, len(row), CHUNK):
            square = row[start : start + CHUNK].square()
            seen = self.squares[task, start : start + CHUNK].add_(square)
            total = total + (square / (seen + EPS).sqrt()).sum()
        return total
