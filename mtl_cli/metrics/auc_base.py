"""Areas under ROC curves, from ranks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected
from mtl_cli.metrics.choices_base import Choices
from mtl_cli.metrics.pairs_base import chunks, per_block, right_pairs, sorted_keys, sorted_scores
from mtl_cli.storage import on_disk

CHOICES_AT_ONCE = 100


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
        return self.value(on_disk.joined(self.predictions), on_disk.joined(self.targets))

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the areas [T]."""
        areas = []
        for scores, labels in zip(predictions.T, target.T, strict=True):
            negative, positive = (sorted_scores(scores, labels, label) for label in (0, 1))
            right = sum(below_and_up_to(negative, positive[own]) for own in chunks(len(positive)))
            areas.append(right / torch.tensor(2.0 * len(positive) * len(negative), dtype=torch.float64))
        return torch.stack(areas)

    def of_choices(self, rows: Mapping[str, Tensor], choices: Choices) -> Tensor:
        """Return the area [R] of each choice of rows, with float32 scores; for one column."""
        scores, labels, block = rows["predictions"][:, 0], rows["targets"][:, 0], choices.block["predictions"]
        blocks = choices.times.shape[1]
        keys = [sorted_keys(scores, labels, block, label) for label in (0, 1)]
        pairs = torch.from_numpy(right_pairs(keys[0], keys[1], blocks))
        negative, positive = (choices.times @ per_block(each, blocks) for each in keys)
        right = [(times @ pairs).mul_(times).sum(dim=1) for times in choices.times.split(CHOICES_AT_ONCE)]
        return torch.cat(right) / (2 * positive * negative)


def below_and_up_to(negative: Tensor, positive: Tensor) -> Tensor:
    """Return how many negative scores lie below each positive one, and how many up to it, added up; both are sorted."""
    below, up_to = (torch.searchsorted(negative, positive, right=right, out_int32=True) for right in (False, True))
    return below.sum() + up_to.sum()
