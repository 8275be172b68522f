"""The sum of the gradients of single rows, each clipped, with noise."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.privacy.accounting import Accountant
from mtl_cli.weightings.base import Weighting
from mtl_cli.weightings.step_base import Step


class PrivateSum(Weighting):
    """g = (Σᵢ gᵢ · min(1, C / ‖gᵢ‖) + N(0, σ²C²)) / B, where gᵢ is the gradient of row i: of the sum over its tasks.

    Source: M. Abadi, A. Chu, I. Goodfellow, H. B. McMahan, I. Mironov, K. Talwar, L. Zhang, "Deep Learning with
    Differential Privacy", CCS 2016, algorithm 1. B is the expected number of rows, not that of the batch, which would
    tell whether a row is there. Each row has a pass of its own, so that nothing of it reaches the gradient of another
    one, whatever the model is made of.

    Every step adds noise to every trained parameter, also one whose batch is empty: which ones stand still would tell.

    Args:
        clip_norm: C.
        accountant: holds σ.
        expected_rows: B.
    """

    num_draws = None
    steps_without_labels = True

    def __init__(self, clip_norm: float, accountant: Accountant, expected_rows: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        self.clip_norm, self.accountant, self.expected_rows = clip_norm, accountant, expected_rows

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Fill the gradients of all trained parameters; weights are those that the tasks declare."""
        self.at = (step.seed, step.index)
        parameters = [*step.partition.trunk, *step.partition.above]
        totals = [torch.zeros_like(parameter) for parameter in parameters]
        for draw in range(step.num_draws):
            for row in step.passes(draw):
                alone = [loss / step.share(task, draw) for task, loss in row.losses.items()]
                gradients = torch.autograd.grad(torch.stack(alone).sum(), parameters, allow_unused=True)
                self._add(totals, gradients)
        step.sum_gradients()
        stream = self.stream(parameters[0].device)
        scale = self.accountant.noise * self.clip_norm
        for parameter, total in zip(parameters, totals, strict=True):
            noise = torch.randn(total.shape, generator=stream, device=total.device, dtype=total.dtype)
            parameter.grad = total.add_(noise, alpha=scale).div_(self.expected_rows)
        if not step.logging:
            return {}
        step.note("epsilon", torch.tensor(self.accountant.spent(step.index + 1)))
        return {task: torch.ones((), device=parameters[0].device) for task in step.tasks}

    def _add(self, totals: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Add the gradient of a row, clipped, to the totals; None stands for zeros."""
        pairs = [(total, own) for total, own in zip(totals, gradients, strict=True) if own is not None]
        own = [gradient for _, gradient in pairs]
        factor = self.clip_norm / torch.nn.utils.get_total_norm(own).clamp(min=self.clip_norm)
        torch._foreach_add_([total for total, _ in pairs], torch._foreach_mul(own, factor))
