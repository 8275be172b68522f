"""Dual balancing."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.jacobian_base import JacobianWeighting

EPS = 1e-8


class DBMTL(JacobianWeighting):
    """Moving averages of the gradients of log Lᵢ, all brought to the largest norm among them, and summed.

    Source: Lin, Jiang, Ye, Zhang, Chen, Chen, Liu, Tsang & Kwok, "Dual-Balancing for Multi-Task Learning",
    arXiv 2308.12029, algorithm 1: the average decays by beta / k^beta_sigma in step k of a task. Heads get the gradient
    of log Lᵢ. Its state has T·P numbers.
    Differs from it in the default: beta is 0, since momentum averages the gradients again. On MultiMNIST, 2 epochs with
    AdamW, 0.9 gave accuracies of 89.7 and 85.8 %, and 96.5 and 95.0 % once AdamW's own average was off.
    """

    weighs_heads = True
    tracks_gradients = True
    no_average = "weighting.beta=0"
    scale_invariant = True
    averages: Tensor
    counts: Tensor

    def __init__(self, level: str, match_norm: str, beta: float, beta_sigma: float, *, tasks: Sequence[str]) -> None:
        super().__init__(level, match_norm, tasks=tasks)
        require(0 <= beta < 1, "beta", beta, "at least 0 and below 1", 0.9)
        require(beta_sigma >= 0, "beta_sigma", beta_sigma, "at least 0", 0.0)
        self.beta, self.beta_sigma = beta, beta_sigma
        self.register_buffer("averages", torch.zeros(len(self.tasks), 0))  # [T, P] from the first step on
        self.register_buffer("counts", torch.zeros(len(self.tasks)))

    def forward(self, jacobian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the update [P]."""
        if not self.averages.numel():
            self.averages = jacobian.new_zeros(len(self.tasks), jacobian.shape[1])
        self.counts[present] += 1
        decays = (self.beta / self.counts[present] ** self.beta_sigma).to(jacobian)
        steps = (1 - decays) / (losses.to(jacobian) + EPS)
        tasks = self.numbers(present)
        for row, task in enumerate(tasks):
            self.averages[task].mul_(decays[row]).addcmul_(jacobian[row], steps[row])
        norms = torch.stack([torch.linalg.vector_norm(self.averages[task]) for task in tasks])
        alphas = norms.max() / norms.clamp(min=1e-30)
        self.used = alphas / (losses.to(jacobian) + EPS)
        return sum_rows(self.averages, alphas, tasks)

    @property
    def kept_average(self) -> float:
        """Part of the average that stays in a late step."""
        return self.beta if self.beta_sigma == 0 else 0.0

    def head_scales(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return 1 / Lᵢ [K]: heads get the gradient of log Lᵢ."""
        return 1 / (losses + EPS)


def sum_rows(rows: Tensor, weights: Tensor, tasks: Sequence[int]) -> Tensor:
    """Return Σₖ weights[k] · rows[tasks[k]] without a copy of the rows."""
    total = torch.zeros_like(rows[0])
    for weight, task in zip(weights, tasks, strict=True):
        total.addcmul_(rows[task], weight)
    return total
