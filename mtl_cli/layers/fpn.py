"""A feature pyramid: the maps of several stages joined into one fine map."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.features import Features, NewPart, Stage
from mtl_cli.layers.convolution import resized


class FeaturePyramid(NewPart, Stage):
    """Joins the skips, finest first, and the values into one map of the size of the finest skip.

    Source: Lin, Dollár, Girshick, He, Hariharan, Belongie, "Feature Pyramid Networks for Object Detection", CVPR 2017,
    section 3: a 1×1 convolution of each map, to which the enlarged next coarser one is added, then a 3×3 convolution.
    Its maps are enlarged to the finest and added up, as in Kirillov, Girshick, He, Dollár, "Panoptic Feature Pyramid
    Networks", CVPR 2019. Differs from both in a group norm after each 3×3 convolution, and bilinear enlargement.

    Args:
        channels: of each map, the finest first.
        width: channels of the result.
    """

    takes_skips = True

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(each, width, 1) for each in channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.GroupNorm(8 if width % 8 == 0 else 1, width),
                nn.ReLU(),
            )
            for _ in channels
        )

    def forward(self, values: Tensor, skips: tuple[Tensor, ...]) -> Features:
        """Return maps [B, width, H, W] of the size of the finest skip, without skips."""
        levels = [lateral(each) for lateral, each in zip(self.lateral, (*skips, values), strict=True)]
        for finer in range(len(levels) - 2, -1, -1):
            levels[finer] = levels[finer] + resized(levels[finer + 1], levels[finer].shape[2:])
        size = levels[0].shape[2:]
        smooth = [resized(layer(each), size) for layer, each in zip(self.smooth, levels, strict=True)]
        return Features(torch.stack(smooth).sum(dim=0))
