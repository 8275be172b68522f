"""Multi-objective gradient correction."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import require
from mtl_cli.weightings.jacobian_base import JacobianWeighting
from mtl_cli.weightings.linalg.jacobian import gramian, row_norms
from mtl_cli.weightings.linalg.quadratic import project_onto_simplex


class MoCo(JacobianWeighting):
    """Yᵀλ with gradients Y tracked over the steps and convex weights λ that follow ‖Yᵀλ‖² downhill.

    Source: Fernando, Shen, Liu, Chaudhury, Murugesan & Chen, "Mitigating Gradient Bias in Multi-objective Learning: A
    Provably Convergent Approach", ICLR 2023, algorithm 1: Y moves by beta / k^beta_sigma towards the gradients, λ by
    gamma / k^gamma_sigma, with a regulariser rho, and is projected onto the simplex. Its state has T·P numbers.
    Differs from it: beta_sigma is 0 by default, since a Y that follows ever more slowly and an optimizer with momentum
    average the gradients twice; the Gramian of Y is divided by its largest diagonal entry, so that gamma has no unit;
    and Y itself is not projected onto a ball.
    """

    tracks_gradients = True
    no_average = "weighting.beta=1 weighting.beta_sigma=0"
    tracked: Tensor
    weights: Tensor
    counts: Tensor

    def __init__(
        self,
        level: str,
        match_norm: str,
        beta: float,
        beta_sigma: float,
        gamma: float,
        gamma_sigma: float,
        rho: float,
        *,
        tasks: Sequence[str],
    ) -> None:
        super().__init__(level, match_norm, tasks=tasks)
        require(0 < beta <= 1, "beta", beta, "above 0 and at most 1", 0.5)
        require(beta_sigma >= 0, "beta_sigma", beta_sigma, "at least 0", 0.5)
        require(gamma > 0, "gamma", gamma, "positive", 0.1)
        require(gamma_sigma >= 0, "gamma_sigma", gamma_sigma, "at least 0", 0.5)
        require(rho >= 0, "rho", rho, "at least 0", 0.0)
        self.beta, self.beta_sigma = beta, beta_sigma
        self.gamma, self.gamma_sigma, self.rho = gamma, gamma_sigma, rho
        self.register_buffer("tracked", torch.zeros(len(self.tasks), 0))  # Y [T, P] from the first step on
        self.register_buffer("weights", torch.full((len(self.tasks),), 1 / len(self.tasks)))
        self.register_buffer("counts", torch.zeros(len(self.tasks)))

    def forward(self, jacobian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the update [P]."""
        if not self.tracked.numel():
            self.tracked = jacobian.new_zeros(len(self.tasks), jacobian.shape[1])
        self.counts[present] += 1
        moves = (self.beta / self.counts[present] ** self.beta_sigma).to(jacobian)
        for row, task in enumerate(self.numbers(present)):
            self.tracked[task].lerp_(jacobian[row], moves[row])
        everyone = len(present) == len(self.tasks)
        tracked = self.tracked if everyone else self.tracked[present]
        self.used = self._weights(gramian(tracked).to(self.weights), present)
        self.weights[present] = self.used
        return self.used.to(jacobian) @ tracked

    @property
    def kept_average(self) -> float:
        """Part of Y that stays in a late step."""
        return 1 - self.beta if self.beta_sigma == 0 else 1.0

    def _weights(self, gram: Tensor, present: Tensor) -> Tensor:
        weights = self.weights[present]
        gram = gram / row_norms(gram).max().square().clamp(min=1e-30)
        rate = self.gamma / self.counts[present].max() ** self.gamma_sigma
        return project_onto_simplex(weights - rate * (gram @ weights + self.rho * weights))
