"""One network for every preference among the tasks."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.seeding import derive
from mtl_cli.weightings.base import LossWeighting, require
from mtl_cli.weightings.step_base import Step

TOLERANCE = 1e-3
SMALLEST = 1e-3


class Preference(LossWeighting):
    """Σᵢ rᵢLᵢ − λ‖L‖ cos(1/r, L) for a preference r that is drawn in every step and that the network is given.

    One run learns the whole front. `mtl-eval checkpoint=RUN 'preference=[0.3,0.7]'` and `mtl-predict` with the same
    word choose a point of it afterwards; the parts are in the order of the trained tasks. The features behind every
    stage of the backbone, and those that a head reads, are scaled and shifted by functions of r. Validation, and so the
    selection of the best checkpoint, is under `weighting.preference`, equal parts by default.

    Where tasks take from each other as much as they get, every weighted sum is smallest at an end of the front, and
    separate runs with other weights end there too. Only the cosine draws the losses to the ray 1/r: then a larger
    `penalty`, such as 3, spreads the points. Where tasks hardly conflict it costs accuracy.

    Source: Ruchte & Grabocka, "Scalable Pareto Front Approximation for Deep Multi-Objective Learning", ICDM 2021
    (COSMOS); scales and shifts from Perez, Strub, de Vries, Dumoulin & Courville, "FiLM: Visual Reasoning with a
    General Conditioning Layer", AAAI 2018. Differs from COSMOS in where the network reads r: there it is joined to the
    input. Differs from it in the cosine too: with r in the place of 1/r a task of a larger part is drawn to a larger
    loss, against the sum, and without ‖L‖, which has no gradient, its pull grows as the losses fall. Parts below 0.001
    count as 0.001 in 1/r. Also called: COSMOS, Pareto set learning.
    """

    takes_stacks = False
    min_tasks = 2

    def __init__(self, alpha: float, penalty: float, preference: list[float] | None, *, tasks: Sequence[str]) -> None:
        require(alpha > 0, "alpha", alpha, "positive", 1.2)
        require(penalty >= 0, "penalty", penalty, "at least 0", 0.1)
        super().__init__(tasks=tasks)
        self.alpha, self.penalty = alpha, penalty
        self.preference = None if preference is None else checked(preference)

    @property
    def condition(self) -> list[float]:
        """The preference [T] in evaluation.

        Raises:
            ValueError: it has not one part for each task.
        """
        if self.preference is None:
            return [1 / len(self.tasks)] * len(self.tasks)
        if len(self.preference) != len(self.tasks):
            raise ValueError(
                f"weighting.preference has {len(self.preference)} parts, and the trained tasks are "
                f"{', '.join(self.tasks)}. Use weighting.preference={written([1.0] * len(self.tasks))}, in this order."
            )
        return self.preference

    def draw(self) -> Tensor:
        """Return the preference [T] of this step: a function of the run's seed and the step's number."""
        stream = np.random.default_rng(derive(*self.at, type(self).__name__))
        drawn = torch.from_numpy(stream.dirichlet([self.alpha] * len(self.tasks))).float()
        return self.by_name(drawn)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of losses [K], less the cosine times their norm."""
        parts = self.draw().to(losses.device, non_blocking=True)[present].to(losses)
        cosine = F.cosine_similarity(losses, 1 / parts.clamp(min=SMALLEST), dim=0)
        return (parts * losses).sum() - self.penalty * losses.detach().norm() * cosine

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Give the network this step's preference, then backpropagate the total loss."""
        self.at = (step.seed, step.index)
        step.condition(self.draw())
        return super().backward(step)


def checked(preference: Sequence[float]) -> list[float]:
    """Return parts that sum to 1 but for rounding, made to sum to 1.

    Raises:
        ValueError: they do not, or one is negative or not a number.
    """
    parts = list(preference) if isinstance(preference, Sequence) else []
    total = float(sum(parts))
    fine = bool(parts) and min(parts) >= 0 and abs(total - 1) <= TOLERANCE
    counted = [part if 0 < part < math.inf else 0.0 for part in parts]
    example = written(counted) if any(counted) else "null"
    rule = "a part of at least 0 for each trained task, with the sum 1"
    require(fine, "preference", preference, rule, example)
    return [part / total for part in parts]


def written(parts: Sequence[float]) -> str:
    """Return numbers, scaled to the sum 1, as they are written on a command line."""
    scaled = [round(part / max(parts), 9) for part in parts]
    total = sum(scaled)
    return f"[{','.join(f'{part / total:.6g}' for part in scaled)}]"
