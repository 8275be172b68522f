"""Mean over labels of the average precision."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected
from mtl_cli.metrics.choices_base import Choices


class MeanAveragePrecision(Collected):
    """Mean over labels of Σ (Rₙ − Rₙ₋₁)·Pₙ over the thresholds, as in scikit-learn.

    Probabilities [B, C] and target, or [B, T, C] for a value per task; what is neither 0 nor 1 is missing. Labels
    without a positive, for which it is not defined, are left out; NaN where no label has one.
    """

    takes_choices = True

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the mean."""
        once = torch.ones(1, len(target), dtype=predictions.dtype)
        return average_precisions(predictions, target, once)[0].view(target.shape[1:]).nanmean(dim=-1)

    def of_choices(self, rows: Mapping[str, Tensor], choices: Choices) -> Tensor:
        """Return the mean [R] of each choice of rows."""
        columns = rows["predictions"], rows["targets"]
        found = [
            average_precisions(*columns, times["predictions"]).nanmean(dim=1).tolist() for times in choices.by_row()
        ]
        return torch.tensor([value for values in found for value in values], dtype=torch.float64)


def average_precisions(predictions: Tensor, target: Tensor, times: Tensor) -> Tensor:
    """Return the average precision [R, C] of every label for rows of which row n is taken `times`[r, n] times."""
    columns = zip(predictions.flatten(1).unbind(dim=1), target.flatten(1).unbind(dim=1), strict=True)
    known = [(scores[truth >= 0], truth[truth >= 0], times[:, truth >= 0]) for scores, truth in columns]
    return torch.stack([average_precision(*column) for column in known], dim=1)


def average_precision(scores: Tensor, target: Tensor, times: Tensor) -> Tensor:
    """Return the average precision [R] of scores [N] of a label that is 1 or 0; NaN where it is never 1."""
    scores, order = scores.sort(descending=True)
    new = scores[1:] != scores[:-1]
    ends = torch.cat([new, new.new_ones(min(1, len(scores)))]).nonzero()[:, 0]  # of equal scores
    taken = times[:, order].cumsum(dim=1)[:, ends]
    true = (times[:, order] * target[order]).cumsum(dim=1)[:, ends]
    precision = true / taken.clamp(min=1)
    return (true.diff(dim=1, prepend=torch.zeros_like(true[:, :1])) * precision).sum(dim=1) / true[:, -1:].sum(dim=1)
