"""How many pixels of the image a position of a map stands for."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.features import FeatureSpec, Stage


def stride_of(spec: FeatureSpec) -> int:
    """Return the pixels per position of maps of that spec: the power of two that is nearest to image by map.

    Sizes that are not multiples of it are rounded up, so the quotient itself is a little less.

    Raises:
        ValueError: the images were resized on their way, or are too small to tell.
    """
    if spec.image is None:
        raise ValueError(
            "A head that says where things are needs a backbone that leaves the size of images alone, or images of "
            "one size. Use backbone=unet, or dataset.size=[128,128]."
        )
    sides = [image / side for image, side in zip(spec.image, spec.shape[1:], strict=True)]
    return int(2 ** round(math.log2(max(1.0, *sides))))


class Patches(nn.Module):
    """Joins patches of `factor` × `factor` positions by a convolution; of a factor 1 nothing.

    The convolution gives `out` channels, by default twice those that it takes.

    Sizes are rounded up, so that position k stands for positions k·factor … of before.
    """

    def __init__(self, width: int, factor: int, out: int | None = None) -> None:
        super().__init__()
        self.factor = factor
        self.width = width if factor == 1 else 2 * width if out is None else out
        self.conv = nn.Conv2d(width, self.width, factor, stride=factor) if factor > 1 else nn.Identity()

    def forward(self, values: Tensor) -> Tensor:
        """Return maps [B, width, ⌈H/factor⌉, ⌈W/factor⌉]."""
        height, width = (-side % self.factor for side in values.shape[2:])
        return self.conv(F.pad(values, (0, width, 0, height)) if height or width else values)


class HalvingStage(Stage):
    """A level of an encoder: keeps its input as a skip, then halves it by max pooling and runs `layers`."""

    keeps_input = True

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.layers = layers

    def forward(self, values: Tensor) -> Tensor:
        """Return maps [B, C, ⌈H/2⌉, ⌈W/2⌉]."""
        return self.layers(self.pool(values))
