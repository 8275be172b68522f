"""Metrics of keypoints; predictions [B, K, 3] are x, y and a probability of being visible, targets hold 1 or 0."""

import torch
from torch import Tensor

from mtl_cli.metrics.base import EntryMean


class KeypointError(EntryMean):
    """Mean over visible keypoints of their distance from the truth, divided by the size of what they lie on.

    The size is the diagonal of the box around an image's visible keypoints; an image whose box has none is left out.
    """

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in images."""
        seen = target[..., 2] == 1  # [B, K]
        truth = target[..., :2]
        high = torch.where(seen.unsqueeze(-1), truth, -torch.inf).amax(dim=1)
        low = torch.where(seen.unsqueeze(-1), truth, torch.inf).amin(dim=1)
        size = torch.linalg.vector_norm((high - low).clamp(min=0), dim=-1, keepdim=True)  # [B, 1]
        distance = torch.linalg.vector_norm(predictions[..., :2] - truth, dim=-1)
        self.add(self.entry(distance / size), seen & (size > 0))

    def entry(self, relative: Tensor) -> Tensor:
        """Return what a keypoint adds, from its relative distance [B, K]."""
        return relative


class CorrectKeypoints(KeypointError):
    """Share of the visible keypoints whose relative distance is at most `bound`."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def entry(self, relative: Tensor) -> Tensor:
        """Return 1 for a keypoint that is near enough."""
        return (relative <= self.bound).to(relative.dtype)


class VisibleKeypoints(EntryMean):
    """Share of the labelled keypoints of which is said rightly whether they are visible."""

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in images."""
        said = (predictions[..., 2] > 0.5) == (target[..., 2] == 1)
        self.add(said, ~torch.isnan(target[..., 2]))
