"""SegNet: an encoder that halves maps, a decoder that puts values back to where the encoder's maxima were."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import InputSpec
from mtl_cli.features import Stage
from mtl_cli.layers.convolution import conv_stack
from mtl_cli.layers.named import check_names
from mtl_cli.layers.strides import HalvingStage


class SegNet(ImageBackbone):
    """Stages enc1 … encN and decN … dec1, `convs` 3×3 convolutions each; a map of the size of the input.

    Source: Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
    Segmentation", TPAMI 2017; the network of Liu, Johns, Davison, "End-to-End Multi-Task Learning with Attention", CVPR
    2019. Each encoder but the first keeps what it is handed and halves it by max pooling; the decoder of that level
    puts its values where the maxima were, and 0 elsewhere. Differs from the papers: the coarsest map is not pooled and
    put back once more; odd sizes are rounded up; and the norm is one of choice. The papers' channels are
    [64,128,256,512,512].
    """

    takes_any_size: ClassVar[bool] = True
    gives: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(self, channels: Sequence[int], convs: int, norm: str, activation: str, init: str) -> None:
        if len(channels) < 2 or min(channels) < 1 or convs < 1:
            raise ValueError(
                f"backbone.channels is {list(channels)}, backbone.convs {convs}; give a number ≥ 1 for each of at "
                "least two levels, and at least one convolution. Use backbone.channels=[16,32,64,128] backbone.convs=2."
            )
        check_names(activation, init, norm)
        self.channels, self.convs, self.norm, self.activation, self.init = list(channels), convs, norm, activation, init
        self.channels_last = norm != "group"

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; encK gives maps [B, channels[K−1], H/2ᴷ⁻¹, W/2ᴷ⁻¹]."""
        widths, deepest = self.channels, len(self.channels)
        below = [widths[0], *widths[:-1]]  # what the decoder of each level gives: the channels of the level above it
        stages: dict[str, Callable[[], nn.Module]] = {"enc1": lambda: self._convs(common.shape[0], widths[0])}
        for level in range(2, deepest + 1):
            stages[f"enc{level}"] = self._encoder(level)
        stages[f"dec{deepest}"] = lambda: self._convs(widths[-1], below[-1])
        for level in range(deepest - 1, 0, -1):
            stages[f"dec{level}"] = self._decoder(widths[level - 1], below[level - 1])
        return stages

    def _convs(self, fan_in: int, out: int) -> nn.Sequential:
        widths = [fan_in] * (self.convs - 1) + [out] if fan_in > out else [out] * self.convs
        return conv_stack(fan_in, widths, 3, self.norm, self.activation)

    def _encoder(self, level: int) -> Callable[[], nn.Module]:
        return lambda: HalvingStage(self._convs(self.channels[level - 2], self.channels[level - 1]))

    def _decoder(self, fan_in: int, out: int) -> Callable[[], nn.Module]:
        return lambda: UnpoolingDecoder(self._convs(fan_in, out))


class UnpoolingDecoder(Stage):
    """Puts its values to the places of the last skip's maxima, found again, and convolves."""

    takes_skips = True

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, values: Tensor, skips: tuple[Tensor, ...]) -> Tensor:
        """Return maps of the skip's size."""
        return self.layers(unpooled(values, skips[-1]))


def unpooled(values: Tensor, kept: Tensor) -> Tensor:
    """Return maps of the size of `kept` [B, C, H, W] with values [B, C, ⌈H/2⌉, ⌈W/2⌉] at its maxima, else 0.

    What was kept has the gradient 0: it belongs to the graph, as it must for what hands it over, and says only where.
    """
    maxima, places = F.max_pool2d(kept, 2, ceil_mode=True, return_indices=True)
    values = values + 0.0 * maxima
    flat = torch.zeros_like(kept, dtype=values.dtype).flatten(2)
    return flat.scatter(2, places.flatten(2), values.flatten(2)).unflatten(2, kept.shape[2:])
