"""What image backbones have in common: one common image for datasets of different sizes and channels."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.image_row import ImageWithRow, RowVector

ROW_CHANNELS = 8
"""Channels that the vector of what stands beside images has for itself."""


class ImageBackbone(Backbone):
    """A backbone whose stem brings images to the largest height, width and number of channels in the run.

    Table columns and texts beside an image enter here, as one vector per row that is added to every position: all
    stages see them. The vector has channels of its own beside those of the image, in which images are 0. Pretrained
    stages know no such channels, so that there it is added to those of the image, and begins as 0.
    """

    takes: ClassVar[tuple[str, ...]] = ("image", "image_row")

    takes_any_size: ClassVar[bool] = False
    """Whether the stages take images of any height and width, as convolutions alone do: the stem leaves sizes alone."""
    channels_last: bool = True
    """Whether the stem puts channels last in memory. Max pooling gains by it and group norm loses: on a CPU, a step of
    a U-Net with group norm takes half the time without it in bf16, and 1.08 times the time in fp32."""

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return the largest image spec (C, H, W).

        Raises:
            ValueError: images come in sizes that the stages cannot take.
        """
        if not self.takes_any_size and any(spec.any_size for spec in inputs.values()):
            raise ValueError(
                f"{type(self).__name__} takes images of one size, and a dataset evaluates its images whole, in sizes "
                "of their own. Bring them into one: tasks.NAME.dataset.size=[96,96]."
            )
        channels, height, width = (max(sizes) for sizes in zip(*[spec.shape for spec in inputs.values()], strict=True))
        rows = any(spec.kind == "image_row" for spec in inputs.values())
        free = ROW_CHANNELS if rows and not self.pretrained else 0
        return InputSpec("image_row" if rows else "image", (channels + free, height, width))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a stem, which has parameters only for what stands beside images."""
        free = ROW_CHANNELS if common.kind == "image_row" and not self.pretrained else 0
        images = (ChannelStem if self.takes_any_size else ImageStem)(common, self.channels_last, free)
        if inputs.kind == "image":
            return images
        row = RowVector(inputs, common.shape[0])
        if self.pretrained:
            nn.init.zeros_(row.project.weight)
            nn.init.zeros_(row.project.bias)
        return ImageWithRow(images, row)


class ChannelStem(nn.Module):
    """Repeats channels up to the common number and, where that is asked for, puts them last in memory.

    The last `free` of the common channels are 0. With channels last, a step of the default network takes 0.48 times the
    CPU seconds in bf16 and 0.59 times in fp32, most of it saved in max pooling. The weights' own layout stays torch's
    default.
    """

    def __init__(self, common: InputSpec, channels_last: bool = True, free: int = 0) -> None:
        super().__init__()
        self.channels, self.channels_last, self.free = common.shape[0] - free, channels_last, free

    def forward(self, images: Tensor) -> Tensor:
        """Return images [B, C, H, W] with the common number of channels."""
        if images.shape[1] < self.channels:
            repeats = -(-self.channels // images.shape[1])
            images = images.repeat(1, repeats, 1, 1)[:, : self.channels]
        if self.free:
            images = F.pad(images, (0, 0, 0, 0, 0, self.free))
        if not self.channels_last:
            return images.contiguous()
        if images.shape[1] == 1:  # torch sees one channel as being last already, and later layers as first
            return images.squeeze(1).unsqueeze(-1).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=torch.channels_last)


class ImageStem(ChannelStem):
    """Also resizes images bilinearly to the common size."""

    def __init__(self, common: InputSpec, channels_last: bool = True, free: int = 0) -> None:
        super().__init__(common, channels_last, free)
        self.size = common.shape[1:]

    def forward(self, images: Tensor) -> Tensor:
        """Return images [B, C, H, W] in the common spec."""
        if images.shape[2:] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", align_corners=False, antialias=True)
        return super().forward(images)
