"""Mean average precision of boxes, as COCO counts it.

Lin et al., "Microsoft COCO: common objects in context", ECCV 2014, and the rules of pycocotools' COCOeval for all
areas. Boxes are matched image by image as these come. What is kept is one row per box, so that the metric of any choice
of images is arithmetic: a thousand resamples for an interval are computed at once. Tests compare with pycocotools.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import set_entries
from mtl_cli.metrics.base import Metric
from mtl_cli.metrics.choices_base import Choices

RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
"""The recalls at which the precision is read, to the bit those of COCO: torch.linspace rounds otherwise."""


class BoxPrecision(Metric):
    """Mean over classes and `overlaps` of the average precision; NaN where there is no box to find.

    Predictions [B, K, 6] hold x₁, y₁, x₂, y₂, score and class; the target [B, N, 5] is a padded set of boxes and their
    classes. The state is kept on the host: per box that was found, with any score, its score, its class and whether it
    is right at each overlap; and the class of each true box.
    """

    takes_choices = True
    found: list[Tensor]
    true: list[Tensor]

    def __init__(self, overlaps: Sequence[float]) -> None:
        super().__init__()
        self.overlaps = torch.tensor(overlaps, dtype=torch.float64)
        self.add_state("found", [], dist_reduce_fx="cat")
        self.add_state("true", [], dist_reduce_fx="cat")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in the boxes of images."""
        predictions, target = predictions.detach().double().cpu(), target.double().cpu()
        order = predictions[..., 4].argsort(dim=1, descending=True, stable=True)
        predictions = predictions.gather(1, order.unsqueeze(-1).expand_as(predictions))
        there = set_entries(target)
        right = matches(predictions, target, there, self.overlaps)
        scored = predictions[..., 4] > 0
        self.found.append(torch.cat([predictions[..., 4:], right.double()], dim=-1)[scored])
        self.true.append(target[..., 4][there])

    def compute(self) -> Tensor:
        """Return the mean average precision."""
        rows = {"found": torch.cat(self.found), "true": torch.cat(self.true)}
        once = Choices(torch.ones(1, 1).double(), {name: torch.zeros(len(each)).int() for name, each in rows.items()})
        return self.of_choices(rows, once)[0]

    def of_choices(self, rows: Mapping[str, Tensor], choices: Choices) -> Tensor:
        """Return the mean average precision [R] of each choice of images."""
        found, true = rows["found"], rows["true"]
        order = found[:, 0].argsort(descending=True, stable=True)
        own = [(order[found[order, 1] == kind], true == kind) for kind in true.unique()]
        values = [torch.zeros(0, dtype=torch.float64)]
        for times in choices.by_row():
            classes = [
                average_precision(found[places, 2:], times["found"][:, places], times["true"][:, mine].sum(dim=1))
                for places, mine in own
            ]
            unknown = torch.full((len(times["true"]),), torch.nan, dtype=torch.float64)
            values.append(torch.stack(classes).nanmean(dim=0) if classes else unknown)
        return torch.cat(values)


def matches(found: Tensor, true: Tensor, there: Tensor, overlaps: Tensor) -> Tensor:
    """Return at which overlaps [B, K, O] each box finds a true one.

    By falling score, a box takes of the true boxes of its class that are free the one that it overlaps most.

    Args:
        found: boxes [B, K, 6] by falling score.
        true: boxes [B, N, 5], those of which count that are `there` [B, N].
    """
    corner, other = found[:, :, None, :4], true[:, None, :, :4]
    sides = torch.minimum(corner[..., 2:], other[..., 2:]) - torch.maximum(corner[..., :2], other[..., :2])
    common = sides.clamp(min=0).prod(dim=-1)
    areas = [(boxes[..., 2:4] - boxes[..., :2]).prod(dim=-1) for boxes in (found, true)]
    shares = common / (areas[0][:, :, None] + areas[1][:, None, :] - common)  # [B, K, N]
    shares = shares.where(there[:, None, :] & (found[:, :, None, 5] == true[:, None, :, 4]), -1.0)
    right = torch.zeros(*found.shape[:2], len(overlaps), dtype=torch.bool)
    free = torch.ones(len(found), len(overlaps), true.shape[1], dtype=torch.bool)
    if true.shape[1] == 0:
        return right
    for place in range(found.shape[1]):
        share, which = shares[:, place, None, :].where(free, -1.0).max(dim=-1)  # [B, O]
        right[:, place] = share >= overlaps
        free.scatter_(2, which.unsqueeze(-1), free.gather(2, which.unsqueeze(-1)) & ~right[:, place].unsqueeze(-1))
    return right


def average_precision(right: Tensor, times: Tensor, number: Tensor) -> Tensor:
    """Return the average precision [R] of a class, mean over overlaps; NaN where there is no box to find.

    Args:
        right: whether the boxes [n, O], by falling score, are right.
        times: how often each is taken, [R, n].
        number: of true boxes that are taken, [R].
    """
    hits = (times.unsqueeze(-1) * right).cumsum(dim=1)  # [R, n, O]
    precision = hits / times.cumsum(dim=1).clamp(min=1).unsqueeze(-1)
    best = precision.flip(1).cummax(dim=1).values.flip(1)  # of this many boxes or more
    recall = (hits / number[:, None, None]).transpose(1, 2).contiguous()
    first = torch.searchsorted(recall, RECALLS.expand(*recall.shape[:2], -1).contiguous())  # [R, O, 101]
    best = F.pad(best.transpose(1, 2), (0, 1))  # no recall beyond the last box
    return best.gather(2, first).mean(dim=(1, 2)).where(number > 0, torch.nan)
