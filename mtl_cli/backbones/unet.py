"""A U-Net: an encoder that halves maps, a decoder that brings them back to full size beside the encoder's."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import InputSpec
from mtl_cli.features import Stage
from mtl_cli.layers.convolution import conv_stack, resized
from mtl_cli.layers.named import check_names, checked_dropout
from mtl_cli.layers.strides import HalvingStage, Patches


class UNet(ImageBackbone):
    """Stages enc1 … encN and decN−1 … dec1, two 3×3 convolutions each; a map of the size of the input.

    Source: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
    Each encoder but the first keeps what it is handed and halves it by max pooling; the decoder of that level enlarges
    its input to the size of what was kept and convolves both together. Differs from the paper: convolutions are padded,
    so that images of any size keep theirs (odd sizes are rounded up and enlarged to exactly what was kept); maps are
    enlarged bilinearly instead of by learnt convolutions, which leave a checkerboard; and there is a norm. With
    norm=group no statistics of a batch are shared between datasets. With a `stride` the first level joins patches of as
    many pixels to either side, and the map is that much smaller: enough for boxes, at a fraction of the cost.
    """

    takes_any_size: ClassVar[bool] = True
    gives: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(
        self, channels: Sequence[int], norm: str, activation: str, dropout: float, init: str, stride: int = 1
    ) -> None:
        if len(channels) < 2 or min(channels) < 1:
            raise ValueError(
                f"backbone.channels is {list(channels)}; give a number ≥ 1 for each of at least two levels, such "
                "as backbone.channels=[16,32,64,128]."
            )
        if stride < 1 or stride & (stride - 1):
            raise ValueError(
                f"backbone.stride is {stride}; it is 1, 2, 4 or another power of two. Use backbone.stride=1."
            )
        check_names(activation, init, norm)
        self.stride = stride
        self.channels, self.norm, self.activation, self.init = list(channels), norm, activation, init
        self.dropout, self.channels_last = checked_dropout(dropout), norm != "group"

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; encK and decK give maps [B, channels[K−1], H/(stride·2ᴷ⁻¹), W/(stride·2ᴷ⁻¹)]."""
        first, deepest = common.shape[0], len(self.channels)
        stages: dict[str, Callable[[], nn.Module]] = {"enc1": lambda: self._first(first)}
        for level in range(2, deepest + 1):
            stages[f"enc{level}"] = self._encoder(level)
        for level in range(deepest - 1, 0, -1):
            stages[f"dec{level}"] = self._decoder(level)
        return stages

    def _first(self, fan_in: int) -> nn.Sequential:
        if self.stride == 1:
            return self._convs(fan_in, self.channels[0])
        return nn.Sequential(
            Patches(fan_in, self.stride, self.channels[0]), *self._convs(self.channels[0], self.channels[0])
        )

    def _convs(self, fan_in: int, out: int, dropout: float = 0.0) -> nn.Sequential:
        return conv_stack(fan_in, [out, out], 3, self.norm, self.activation, dropout)

    def _encoder(self, level: int) -> Callable[[], nn.Module]:
        dropout = self.dropout if level == len(self.channels) else 0.0
        return lambda: HalvingStage(self._convs(self.channels[level - 2], self.channels[level - 1], dropout))

    def _decoder(self, level: int) -> Callable[[], nn.Module]:
        return lambda: Decoder(self._convs(self.channels[level] + self.channels[level - 1], self.channels[level - 1]))


class Decoder(Stage):
    """Enlarges its input to the size of the last skip, which it uses up, and convolves both together."""

    takes_skips = True

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, values: Tensor, skips: tuple[Tensor, ...]) -> Tensor:
        """Return maps of the skip's size."""
        kept = skips[-1]
        return self.layers(torch.cat([kept, resized(values, kept.shape[2:])], dim=1))
