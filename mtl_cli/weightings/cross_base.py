"""Weightings that find weights from the gradients of independent batches."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from mtl_cli.weightings.linalg.jacobian import gramian
from mtl_cli.weightings.row_base import RowWeighting, combined_norm
from mtl_cli.weightings.step_base import Step


class CrossWeighting(RowWeighting):
    """A weighting that finds weights from the products of rows of two independent draws: the halves of the batch.

    The update, and the heads' gradients, are those of the whole batch.
    """

    takes_stacks = True
    num_draws = 2
    levels: ClassVar[tuple[str, ...]] = ("parameters",)

    @abstractmethod
    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return weights [K]: gramian [K, K] holds J₁J₂ᵀ, divided by the square of the mean root of its diagonal."""

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Write the weighted update into the shared parameters' `.grad`, and into the heads' those of their losses."""
        self.at = (step.seed, step.index)
        present = self.present(step.tasks)
        one, losses = self._record(step, 0)
        two, others = self._record(step, 1, slot=1)
        losses = losses + others
        step.sum_gradients()
        means = torch.outer(self._means(step, 0), self._means(step, 1)).to(losses.device, non_blocking=True)
        cross = gramian(one.rows, two.rows) * means
        weights = self.weigh(cross, losses, present)
        one.add_rows(two)
        if step.logging or self.match_norm != "none":
            gram = gramian(one.rows)
            norm = combined_norm(gram, weights)
            factor = self._matched(norm, gram)
            weights = weights * factor
            if step.logging:
                self._note(step, step.tasks, gram, norm * factor)
        one.combine(weights)
        self._finish(step, losses, present)
        return dict(zip(step.tasks, weights, strict=True))

    @staticmethod
    def _means(step: Step, draw: int) -> Tensor:
        """Return factors [K] that make a draw's rows gradients of means over its own labels; 0 where it has none."""
        shares = [step.share(task, draw) for task in step.tasks]
        return torch.tensor([1 / share if share else 0.0 for share in shares], dtype=torch.float64)

    def weigh(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weights [K]: `forward` behind its scaling, without a device sync."""
        scale = gramian.diagonal().clamp(min=0).sqrt().mean().square()
        return self(torch.where(scale > 0, gramian / scale, 0), losses.detach().to(gramian), present)
