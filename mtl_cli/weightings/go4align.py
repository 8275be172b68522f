"""Group optimization for multi-task alignment."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting, require

EPS = 1e-20


class GO4Align(LossWeighting):
    """Σᵢ wᵢLᵢ, where tasks of a group have one weight: the mean over the group of pᵢ · ΣⱼLⱼ / Lᵢ.

    p is uniform at first and moves by pᵢ ← pᵢ exp(−robust_step_size · Lᵢ) / Z in each step. The groups are those of
    K-means on the weights, found anew in each step.

    Source: Shen, Wang, Xiao, Van Noord & Worring, "GO4Align: Group Optimization for Multi-Task Alignment", NeurIPS
    2024, with the group indicators of the authors' code. An absent task keeps its p. A loss of exactly 0 counts as
    1e-20.
    Differs from the authors' code in that the K-means of the weights, which are numbers, is the best one, found
    exactly, instead of one that depends on random first centres.
    """

    indicators: Tensor

    def __init__(self, num_groups: int, robust_step_size: float, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        require(num_groups >= 1, "num_groups", num_groups, "at least 1", 2)
        require(robust_step_size > 0, "robust_step_size", robust_step_size, "positive", 0.0001)
        self.num_groups, self.robust_step_size = num_groups, robust_step_size
        self.register_buffer("indicators", torch.full((len(self.tasks),), 1 / len(self.tasks)))  # p [T]

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of losses [K]."""
        known = losses.detach().clamp(min=EPS)
        moved = self._moved(known, present)
        weights = moved / moved.sum() * (known.sum() / known)
        return (group_means(weights, min(self.num_groups, len(weights))) * losses).sum()

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Move p of the present tasks."""
        moved = self._moved(losses.clamp(min=EPS), present)
        self.indicators[present] = torch.where(moved.isfinite(), moved, self.indicators[present])

    def _moved(self, losses: Tensor, present: Tensor) -> Tensor:
        """Return p [K] after a step with losses [K]; its sum is that of p before."""
        before = self.indicators[present].to(losses)
        exponents = -self.robust_step_size * losses
        moved = before * torch.exp(exponents - exponents.max())
        return moved * before.sum() / moved.sum()


def group_means(values: Tensor, num_groups: int) -> Tensor:
    """Return for each of the values [K] the mean of its group under the best K-means with `num_groups` groups.

    Groups of sorted numbers are neighbours, so the best ones are found by dynamic programming over where each ends:
    exactly, and without a device sync.
    """
    ordered, order = values.sort()
    scaled = ordered / ordered[-1].clamp(min=EPS)  # so that squares cannot overflow
    scaled = scaled - scaled.mean()
    ends = torch.arange(len(scaled) + 1, device=values.device)
    sums, squares = (torch.cat([part.new_zeros(1), part.cumsum(0)]) for part in (scaled, scaled.square()))
    counts = (ends[None, :] - ends[:, None]).to(scaled)  # of the group from i up to, but without, j
    costs = squares[None, :] - squares[:, None] - (sums[None, :] - sums[:, None]).square() / counts.clamp(min=1)
    costs = torch.where(counts > 0, costs.clamp(min=0), torch.inf)  # [K + 1, K + 1]
    best, starts = costs[0], [torch.zeros_like(ends)]  # starts[g]: where group g starts, by where it ends
    for _ in range(num_groups - 1):
        best, start = (best[:, None] + costs).min(dim=0)
        starts.append(start)
    return _means(ordered, starts)[order.argsort()]


def _means(ordered: Tensor, starts: Sequence[Tensor]) -> Tensor:
    """Return the mean of its group for each of the sorted values [K]."""
    places = torch.arange(len(ordered), device=ordered.device)
    end = torch.full((1,), len(ordered), device=ordered.device)
    means = torch.zeros_like(ordered)
    for start in reversed(starts):
        begin = start.index_select(0, end)  # an index of one number would be read from the device
        inside = (places >= begin) & (places < end)
        mean = torch.where(inside, ordered, 0).sum() / inside.sum().clamp(min=1)
        means = torch.where(inside, mean, means)
        end = begin
    return means
