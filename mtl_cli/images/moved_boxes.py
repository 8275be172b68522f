"""Boxes in images that are turned, sheared, zoomed and cut."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

LEAST_SHARE, LEAST_SIDE = 0.1, 2.0
"""Share of its area and pixels to either side that must be left of a box that is cut."""


def axes_of(boxes: Tensor) -> Tensor:
    """Return as boxes without area [2·N, 4] the lines through the centres of boxes [N, 5]: across, then down."""
    left, top, right, bottom = boxes[:, :4].unbind(dim=1)
    x, y = (left + right) / 2, (top + bottom) / 2
    return torch.cat([torch.stack([left, y, right, y], dim=1), torch.stack([x, top, x, bottom], dim=1)])


def boxes_around(axes: Tensor) -> Tensor:
    """Return the boxes [N, 4] around the ellipses that fill boxes whose `axes_of` [2·N, 4] have been moved.

    Source: Kalra et al., "Towards Rotation Invariance in Object Detection", ICCV 2021, section 3. What fills a box is
    rarely a rectangle: the box around a box that is turned by six degrees is a tenth too wide and too high for a disc.
    """
    across, down = axes.chunk(2)
    centre = (across[:, :2] + across[:, 2:]) / 2
    half = torch.hypot(across[:, 2:] - across[:, :2], down[:, 2:] - down[:, :2]) / 2
    return torch.cat([centre - half, centre + half], dim=1)


def quarter_turned(boxes: Any, turn: int) -> Any:  # noqa: ANN401  a typed tensor
    """Return boxes [N, 4] of an image that is turned clockwise by `turn` quarters."""
    from torchvision import tv_tensors

    values = boxes.as_subclass(Tensor)
    height, width = boxes.canvas_size
    for _ in range(turn):
        left, top, right, bottom = values.unbind(dim=1)
        values = torch.stack([height - bottom, left, height - top, right], dim=1)
        height, width = width, height
    return tv_tensors.wrap(values, like=boxes)


def kept_boxes(boxes: Tensor, classes: Tensor, size: Sequence[int]) -> Tensor:
    """Return boxes [N, 5] with their classes, cut at the border of an image of `size` (H, W), where enough is left."""
    height, width = size
    limits = torch.tensor([width, height, width, height], dtype=boxes.dtype)
    cut = torch.minimum(boxes.clamp(min=0), limits)
    before, left = (each[:, 2:] - each[:, :2] for each in (boxes, cut))
    enough = left.prod(dim=1) >= LEAST_SHARE * before.prod(dim=1)
    kept = (left >= before.clamp(max=LEAST_SIDE)).all(dim=1) & enough
    return torch.cat([cut, classes.to(cut).unsqueeze(1)], dim=1)[kept]
