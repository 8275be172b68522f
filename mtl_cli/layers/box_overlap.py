"""How much boxes overlap, and which of several around one object are left out."""

import torch
from torch import Tensor

ROUNDS = 6
"""What a dropped box itself had dropped comes back in the next round; longer chains of boxes do not occur."""


def overlaps(boxes: Tensor) -> Tensor:
    """Return the intersections over unions [..., N, N] of boxes [..., N, 4] with corners x₁, y₁, x₂, y₂."""
    sides = []
    for low, high in ((boxes[..., 0], boxes[..., 2]), (boxes[..., 1], boxes[..., 3])):
        first = torch.maximum(low.unsqueeze(-1), low.unsqueeze(-2))
        sides.append((torch.minimum(high.unsqueeze(-1), high.unsqueeze(-2)) - first).clamp(min=0))
    shared = sides[0] * sides[1]
    areas = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return shared / (areas.unsqueeze(-1) + areas.unsqueeze(-2) - shared).clamp(min=1e-9)


def largest_overlaps(boxes: Tensor) -> Tensor:
    """Return how much each of the boxes [N, 5] of an image, with class, overlaps those of its class before it, [N]."""
    if not len(boxes):
        return boxes.new_zeros(0)
    alike = boxes[:, 4:] == boxes[:, 4]
    return torch.where(alike, overlaps(boxes[:, :4]), 0.0).tril(-1).amax(dim=1)


def without_doubles(boxes: Tensor, most: float) -> Tensor:
    """Return boxes [B, K, 6] by falling score, with score 0 for those that overlap a better one of their class by more.

    A box that is dropped drops no other. Only tensor operations, so that it may be part of an exported graph.
    """
    kinds = boxes[..., 5]
    clash = (overlaps(boxes[..., :4]) > most) & (kinds.unsqueeze(-1) == kinds.unsqueeze(-2))
    clash = clash.tril(-1)  # [B, K, K]: the second is better than the first
    kept = torch.ones_like(kinds, dtype=torch.bool)
    for _ in range(ROUNDS):
        kept = ~(clash & kept.unsqueeze(-2)).any(dim=-1)
    scores = torch.where(kept, boxes[..., 4], 0.0)
    return torch.cat([boxes[..., :4], scores.unsqueeze(-1), boxes[..., 5:]], dim=-1)
