"""Metrics of keypoints; predictions [B, K, 3] are x, y and a probability of being visible, targets hold 1 or 0."""

import torch
from torch import Tensor
from torchmetrics import Metric


class KeypointError(Metric):
    """Mean over visible keypoints of their distance from the truth, divided by the size of what they lie on.

    The size is the diagonal of the box around an image's visible keypoints; an image whose box has none is left out.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in images."""
        seen = target[..., 2] == 1  # [B, K]
        truth = target[..., :2]
        high = torch.where(seen.unsqueeze(-1), truth, -torch.inf).amax(dim=1)
        low = torch.where(seen.unsqueeze(-1), truth, torch.inf).amin(dim=1)
        size = torch.linalg.vector_norm((high - low).clamp(min=0), dim=-1, keepdim=True)  # [B, 1]
        distance = torch.linalg.vector_norm(predictions[..., :2] - truth, dim=-1)
        marks = seen & (size > 0)
        self.total += torch.where(marks, self.entry(distance / size), 0.0).sum(dtype=self.total.dtype)
        self.count += marks.sum()

    def entry(self, relative: Tensor) -> Tensor:
        """Return what a keypoint adds, from its relative distance [B, K]."""
        return relative

    def compute(self) -> Tensor:
        """Return the mean; NaN where there is no such keypoint."""
        return self.total / self.count


class CorrectKeypoints(KeypointError):
    """Share of the visible keypoints whose relative distance is at most `bound`."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def entry(self, relative: Tensor) -> Tensor:
        """Return 1 for a keypoint that is near enough."""
        return (relative <= self.bound).to(relative.dtype)


class VisibleKeypoints(Metric):
    """Share of the labelled keypoints of which is said rightly whether they are visible."""

    full_state_update = False
    right: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in images."""
        marks = ~torch.isnan(target[..., 2])
        self.right += (marks & ((predictions[..., 2] > 0.5) == (target[..., 2] == 1))).sum()
        self.count += marks.sum()

    def compute(self) -> Tensor:
        """Return the share."""
        return self.right.double() / self.count
