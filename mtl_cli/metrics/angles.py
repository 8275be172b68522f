"""Statistics of the angle between predicted and true directions, in degrees."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import EntryMean, Metric

STEPS = 18000
"""Steps of the histogram of angles, 0.01 degrees each."""


class AngleMean(EntryMean):
    """Mean angle between unit vectors [B, 3, H, W]; a pixel whose target is NaN does not count."""

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predicted vectors and their target."""
        self.add(self.entry(degrees_between(predictions, target)), known_directions(target))

    def entry(self, degrees: Tensor) -> Tensor:
        """Return what a pixel adds, from its angle [B, H, W]."""
        return degrees


class AngleWithin(AngleMean):
    """Share of the angles that are less than a number of degrees."""

    def __init__(self, degrees: float) -> None:
        super().__init__()
        self.degrees = degrees

    def entry(self, degrees: Tensor) -> Tensor:
        """Return whether a pixel is near enough."""
        return degrees < self.degrees


class AngleMedian(Metric):
    """The median angle, from a histogram of `STEPS` steps: the middle of the step that it falls in, 0.005 off at most.

    Of an even number of angles it is the lower one of the two in the middle.
    """

    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(STEPS, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Count the angles by step."""
        degrees, marks = degrees_between(predictions, target), known_directions(target)
        place = (degrees * (STEPS / 180)).nan_to_num(nan=STEPS).long().clamp(0, STEPS - 1)
        self.counts.scatter_add_(0, place.flatten(), marks.flatten().long())

    def compute(self) -> Tensor:
        """Return the median; NaN where there is no angle."""
        total = self.counts.sum()
        place = torch.searchsorted(self.counts.cumsum(0), ((total + 1) // 2).reshape(1))[0]
        return torch.where(total > 0, (place.double() + 0.5) * (180 / STEPS), torch.nan)


def known_directions(target: Tensor) -> Tensor:
    """True for the pixels [B, H, W] of a target [B, 3, H, W] that have a direction."""
    return ~torch.isnan(target).any(dim=1)


def degrees_between(first: Tensor, second: Tensor) -> Tensor:
    """Return the angle between vectors [B, 3, H, W] in degrees [B, H, W].

    By the arctangent of sine and cosine: the arccosine of a float32 is 0.02 degrees off for vectors that are equal.
    """
    sine = torch.linalg.vector_norm(torch.linalg.cross(first, second, dim=1), dim=1)
    return torch.rad2deg(torch.atan2(sine, (first * second).sum(dim=1)))
