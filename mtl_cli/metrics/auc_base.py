"""Areas under ROC curves, from ranks."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.metrics.base import Collected


class Areas(Collected):
    """Area under the ROC curve of each column: NaN where only one class occurs; labels may be missing.

    The area is the share of pairs of a positive and a negative row whose order is right, ties counting one half.
    """

    row_by_row = True
    takes_choices = True

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in probabilities and their target [B, T], one byte a label; what is neither 0 nor 1 does not count."""
        super().update(predictions, target.to(torch.int8))

    def compute(self) -> Tensor:
        """Return the areas [T]."""
        return self.value(torch.cat(self.predictions), torch.cat(self.targets))

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the areas [T]."""
        areas = []
        for scores, labels in zip(predictions.T, target.T, strict=True):
            negative, positive = (scores[labels == label].sort().values for label in (0, 1))
            right = sum(places.sum() for places in below_and_up_to(negative, positive))
            areas.append(right / torch.tensor(2.0 * len(positive) * len(negative), dtype=torch.float64))
        return torch.stack(areas)

    def of_choices(self, rows: Mapping[str, Tensor], choices: Iterable[Mapping[str, Tensor]]) -> Tensor:
        """Return the area [R] of each choice of rows; for one column."""
        scores, labels = rows["predictions"][:, 0], rows["targets"][:, 0]
        negative, positive = ((labels == label).nonzero()[:, 0] for label in (0, 1))
        negative, positive = (places[scores[places].argsort()] for places in (negative, positive))
        below, up_to = below_and_up_to(scores[negative], scores[positive])
        areas: list[float] = []  # small tensors between large ones would keep the memory of these from being used again
        for times in choices:
            often = times["predictions"].int()  # half the memory
            before = F.pad(often[:, negative].cumsum(dim=1, dtype=torch.int32), (1, 0))  # negative rows before a place
            taken = often[:, positive].double()
            right = (taken * (before[:, below] + before[:, up_to])).sum(dim=1)
            areas += (right / (2 * taken.sum(dim=1) * before[:, -1])).tolist()
        return torch.tensor(areas, dtype=torch.float64)


def below_and_up_to(negative: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many negative scores lie below each positive one, and how many up to it; both are sorted."""
    below, up_to = (torch.searchsorted(negative, positive, right=right, out_int32=True) for right in (False, True))
    return below, up_to
