"""Fast adaptive multitask optimization."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting, require
from mtl_cli.weightings.step_base import Step

EPS = 1e-8
BETAS, ADAM_EPS = (0.9, 0.999), 1e-8


class FAMO(LossWeighting):
    """c Σᵢ zᵢ log Lᵢ with z = softmax(w): w learns from how much each loss fell in the step.

    Source: Liu, Feng, Stone & Liu, "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, algorithm 1, with the
    authors' Adam (learning rate `lr`, weight decay `gamma`) on w and 0 as the lower bound of the losses. Each task has
    an Adam count of its own, so that an absent one keeps its state. Each step costs a second forward without
    gradients, which sees the same dropout masks as the first.
    """

    scale_invariant = True
    logits: Tensor
    means: Tensor
    squares: Tensor
    counts: Tensor

    def __init__(self, lr: float, gamma: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(lr > 0, "lr", lr, "positive", 0.025)
        require(gamma >= 0, "gamma", gamma, "at least 0", 0.001)
        self.lr, self.gamma = lr, gamma
        for name in ("logits", "means", "squares", "counts"):  # w and its Adam state, each [T]
            self.register_buffer(name, torch.zeros(len(self.tasks)))
        self.before: Tensor | None = None

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the scalarization of losses [K]."""
        z = torch.softmax(self.logits[present], dim=0)
        shifted = losses + EPS
        normalizer = (z / shifted).sum().detach()
        return (z * torch.log(shifted)).sum() / normalizer

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Keep the losses for `after_step`."""
        self.before = losses

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Move the logits by the fall of the logarithms of the losses."""
        assert self.before is not None
        present = self.present(step.tasks)
        now = step.losses_now()
        after = torch.stack([now[task] for task in step.tasks])
        falls = torch.log(self.before + EPS) - torch.log(after + EPS)
        falls = torch.where(falls.isfinite(), falls, 0)
        z = torch.softmax(self.logits[present], dim=0)
        gradient = z * (falls - (z * falls).sum()) + self.gamma * self.logits[present]
        self._adam(gradient, present)

    def _adam(self, gradient: Tensor, present: Tensor) -> None:
        counts = self.counts[present] + 1
        means = BETAS[0] * self.means[present] + (1 - BETAS[0]) * gradient
        squares = BETAS[1] * self.squares[present] + (1 - BETAS[1]) * gradient.square()
        mean, square = means / (1 - BETAS[0] ** counts), squares / (1 - BETAS[1] ** counts)
        self.logits[present] -= self.lr * mean / (square.sqrt() + ADAM_EPS)
        self.counts[present], self.means[present], self.squares[present] = counts, means, squares
