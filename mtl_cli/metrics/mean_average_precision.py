"""Mean over labels of the average precision."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected


class MeanAveragePrecision(Collected):
    """Mean over labels of Σ (Rₙ − Rₙ₋₁)·Pₙ over the thresholds, as in scikit-learn.

    Probabilities [B, C] and target, or [B, T, C] for a value per task; what is neither 0 nor 1 is missing. Labels
    without a positive, for which it is not defined, are left out; NaN where no label has one.
    """

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the mean."""
        columns = zip(predictions.flatten(1).unbind(dim=1), target.flatten(1).unbind(dim=1), strict=True)
        found = [average_precision(column[truth >= 0], truth[truth >= 0]) for column, truth in columns]
        return torch.stack(found).view(target.shape[1:]).nanmean(dim=-1)


def average_precision(scores: Tensor, target: Tensor) -> Tensor:
    """Return the average precision of scores [N] of a label that is 1 or 0; NaN where it is never 1."""
    order = torch.argsort(scores, descending=True)
    scores, true = scores[order], target[order].cumsum(dim=0)
    ends = torch.cat([torch.where(scores[1:] != scores[:-1])[0], torch.tensor([len(scores) - 1])])  # of equal scores
    if not len(scores) or true[-1] == 0:
        return torch.tensor(torch.nan, dtype=scores.dtype)
    precision = true[ends] / (ends + 1)
    return (true[ends].diff(prepend=true.new_zeros(1)) * precision).sum() / true[-1]
