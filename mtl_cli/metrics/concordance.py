"""Harrell's concordance index."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected


class Concordance(Collected):
    """Share of comparable pairs whose risks are ordered as their times; risks [B], target [B, 2]: time and event.

    Harrell, Califf, Pryor, Lee, Rosati, "Evaluating the yield of medical tests", JAMA 1982. A pair is comparable when
    the one with the shorter time had the event; at equal times, when one had it and the other was censored. Equal risks
    count one half. O(N log² N) time and O(N) memory: pairs are counted by merging, never listed.
    """

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the index; NaN where no pair is comparable, or where a risk is NaN."""
        if bool(predictions.isnan().any()):
            return torch.tensor(torch.nan)
        time = torch.unique(target[:, 0], return_inverse=True)[1]
        rank = torch.unique(predictions, return_inverse=True)[1]
        event = target[:, 1] > 0.5
        slot = 2 * time + (~event).long()  # by time, events before those that are censored at that time
        size = len(slot)
        # Events of one time stand in ascending order of risk: their pairs, which are not comparable, count as ordered
        # otherwise, and so add nothing to `below`.
        order = torch.argsort(slot * size + rank)
        slot, rank, event = slot[order], rank[order], event[order]
        first = torch.searchsorted(slot, slot, right=True)  # position of the first row that comes later
        key, at = rank * (size + 1), torch.arange(size)
        places = torch.sort(key + at).values
        later = torch.searchsorted(places, key + size) - torch.searchsorted(places, key + first)
        comparable = (size - first)[event].sum().double()
        concordant = count_below(rank)[event].sum() + 0.5 * later[event].sum()
        return concordant / comparable if comparable > 0 else torch.tensor(torch.nan)


def count_below(ranks: Tensor) -> Tensor:
    """Return for each of `ranks` [N], numbers from 0 to N − 1, how many that come after it are smaller [N]."""
    size = len(ranks)
    counts, at = torch.zeros(size, dtype=torch.int64), torch.arange(size)
    width = 1
    while width < size:
        block = at // width
        left = block % 2 == 0
        right = torch.sort(block[~left] * size + ranks[~left]).values
        start = (block[left] + 1) * size
        counts[left] += torch.searchsorted(right, start + ranks[left]) - torch.searchsorted(right, start)
        width *= 2
    return counts
