"""Statistics of the angle between predicted and true directions, in degrees."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torchmetrics import Metric

STEPS = 18000
"""Steps of the histogram of angles, 0.01 degrees each."""


class Angles(Metric, ABC):
    """Adds up angles of pixels; unit vectors [B, 3, H, W], NaN in the target where one is not known."""

    full_state_update = False

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predicted vectors and their target."""
        marks = ~torch.isnan(target).any(dim=1)
        self.take(degrees_between(predictions, target), marks)

    @abstractmethod
    def take(self, degrees: Tensor, marks: Tensor) -> None:
        """Take in angles [B, H, W], where `marks` are True."""


class AngleMean(Angles):
    """Mean angle."""

    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def take(self, degrees: Tensor, marks: Tensor) -> None:
        """Add up the angles."""
        self.total += torch.where(marks, degrees, 0.0).sum(dtype=self.total.dtype)
        self.count += marks.sum()

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.total / self.count


class AngleWithin(Angles):
    """Share of the angles that are less than a number of degrees."""

    within: Tensor
    count: Tensor

    def __init__(self, degrees: float) -> None:
        super().__init__()
        self.degrees = degrees
        self.add_state("within", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def take(self, degrees: Tensor, marks: Tensor) -> None:
        """Count the angles."""
        self.within += (marks & (degrees < self.degrees)).sum()
        self.count += marks.sum()

    def compute(self) -> Tensor:
        """Return the share."""
        return self.within.double() / self.count


class AngleMedian(Angles):
    """The median angle, from a histogram of `STEPS` steps: the middle of the step that it falls in, 0.005 off at most.

    Of an even number of angles it is the lower one of the two in the middle.
    """

    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(STEPS, dtype=torch.int64), dist_reduce_fx="sum")

    def take(self, degrees: Tensor, marks: Tensor) -> None:
        """Count the angles by step."""
        place = (degrees * (STEPS / 180)).nan_to_num(nan=STEPS).long().clamp(0, STEPS - 1)
        self.counts.scatter_add_(0, place.flatten(), marks.flatten().long())

    def compute(self) -> Tensor:
        """Return the median; NaN where there is no angle."""
        total = self.counts.sum()
        place = torch.searchsorted(self.counts.cumsum(0), ((total + 1) // 2).reshape(1))[0]
        return torch.where(total > 0, (place.double() + 0.5) * (180 / STEPS), torch.nan)


def degrees_between(first: Tensor, second: Tensor) -> Tensor:
    """Return the angle between vectors [B, 3, H, W] in degrees [B, H, W].

    By the arctangent of sine and cosine: the arccosine of a float32 is 0.02 degrees off for vectors that are equal.
    """
    sine = torch.linalg.vector_norm(torch.linalg.cross(first, second, dim=1), dim=1)
    return torch.rad2deg(torch.atan2(sine, (first * second).sum(dim=1)))
