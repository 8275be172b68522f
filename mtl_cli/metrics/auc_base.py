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
        scores, order = predictions.T.contiguous().sort(dim=1)  # [T, N]: along rows it takes half the time
        target = target.T.contiguous().gather(1, order)
        positive, negative = target == 1, target == 0
        up_to = negative.int().cumsum(dim=1, dtype=torch.int32)  # negative rows up to here
        before = up_to - negative.int()
        new = scores[:, 1:] != scores[:, :-1]
        edge = torch.ones_like(new[:, :1])
        below = torch.where(torch.cat([edge, new], dim=1), before, -1).cummax(dim=1).values
        far = torch.iinfo(torch.int32).max
        ends = torch.where(torch.cat([new, edge], dim=1), up_to, far)
        above = ends.flip(1).cummin(dim=1).values.flip(1)
        right = torch.where(positive, below + above, 0).sum(dim=1)
        pairs = positive.sum(dim=1).double() * negative.sum(dim=1)
        return right / (2 * pairs)

    def of_choices(self, rows: Mapping[str, Tensor], choices: Iterable[Mapping[str, Tensor]]) -> Tensor:
        """Return the area [R] of each choice of rows; for one column."""
        scores, order = rows["predictions"][:, 0].sort()
        target = rows["targets"][order, 0]
        positive, negative = order[target == 1], target == 0
        first, last = (torch.searchsorted(scores, scores[target == 1], right=right) for right in (False, True))
        areas: list[float] = []  # small tensors between large ones would keep the memory of these from being used again
        for times in choices:
            often = times["predictions"].int()  # half the memory
            before = often[:, order].where(negative, 0).cumsum(dim=1, dtype=torch.int32)
            before = F.pad(before, (1, 0))  # negative rows before a place
            taken = often[:, positive].double()
            right = (taken * (before[:, first] + before[:, last])).sum(dim=1)
            areas += (right / (2 * taken.sum(dim=1) * before[:, -1])).tolist()
        return torch.tensor(areas, dtype=torch.float64)
