"""Normalised discounted cumulative gain by group."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import Collected


class GroupNDCG(Collected):
    """Mean over groups of NDCG@k, with linear gains; scores [B], target [B, 2]: relevance and the group's number.

    Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002; log2 discounts. Rows with
    equal scores share the mean of their discounts (McSherry & Najork, ECIR 2008), as in scikit-learn and torchmetrics.
    Groups without any relevant row are left out. Differs from torchmetrics' RetrievalNormalizedDCG: no loop over
    groups, O(N log N).
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def told_apart(self, state: str, rows: Tensor, copy: int) -> Tensor:
        """Return targets of a copy with other numbers of their groups, which are whole and 0 or more."""
        return rows if state != "targets" else rows.double() + rows.new_tensor([0.0, copy / 1024.0]).double()

    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the mean; NaN where no group has a relevant row."""
        relevance, group = target[:, 0], torch.unique(target[:, 1], return_inverse=True)[1]
        gains = self._gains(predictions, relevance, group)
        ideal = self._gains(relevance, relevance, group)
        return (gains[ideal > 0] / ideal[ideal > 0]).mean()

    def _gains(self, scores: Tensor, relevance: Tensor, group: Tensor) -> Tensor:
        """Return the discounted gain of each group [G], its rows in descending order of `scores`."""
        order = torch.argsort(scores, descending=True)
        order = order[torch.argsort(group[order], stable=True)]
        scores, relevance, group = scores[order], relevance[order], group[order]
        sizes = torch.bincount(group)
        starts = sizes.cumsum(0) - sizes
        rank = torch.arange(len(group)) - starts[group]
        discount = torch.where(rank < self.k, 1.0 / torch.log2(rank.double() + 2.0), 0.0)
        block = torch.ones(len(group), dtype=torch.int64)
        block[1:] = ((group[1:] != group[:-1]) | (scores[1:] != scores[:-1])).long()
        block = block.cumsum(0) - 1  # number of the run of equal scores within a group
        runs = torch.bincount(block)
        shared = torch.zeros(len(runs), dtype=torch.float64).index_add_(0, block, discount) / runs
        return torch.zeros(len(sizes), dtype=torch.float64).index_add_(0, group, relevance * shared[block])
