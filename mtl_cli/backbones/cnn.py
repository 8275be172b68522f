"""A small convolutional network."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import activation, check_names, checked_dropout, norm2d


class CNN(ImageBackbone):
    """Stages conv1 … convN, each 3×3 convolution – norm – 2×2 max pooling – activation, then dense1 … denseM.

    The last convolution is followed by dropout / 2, each dense layer by dropout.
    """

    gives: ClassVar[tuple[str, ...]] = ("vector", "map")
    to_give: ClassVar[Mapping[str, str]] = {"map": "backbone.dense=[]"}

    def __init__(
        self,
        channels: Sequence[int],
        dense: Sequence[int],
        dropout: float,
        activation: str,
        norm: str,
        init: str,
    ) -> None:
        if not channels or min([*channels, *dense]) < 1:
            raise ValueError(f"backbone.channels is {list(channels)}, backbone.dense {list(dense)}; give widths ≥ 1.")
        check_names(activation, init, norm)
        self.channels, self.dense, self.dropout = list(channels), list(dense), checked_dropout(dropout)
        self.activation, self.norm, self.init = activation, norm, init

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; maps [B, channels[i], H/2ⁱ⁺¹, W/2ⁱ⁺¹], then vectors [B, dense[j]]."""
        channels, height, width = common.shape
        shrink = 2 ** len(self.channels)
        if min(height, width) < shrink:
            raise ValueError(
                f"backbone.channels asks for {len(self.channels)} poolings by 2, which images of {height}×{width} are "
                f"too small for. Use at most {min(height, width).bit_length() - 1} channels, or backbone=mlp."
            )
        stages: dict[str, Callable[[], nn.Module]] = {}
        for index, out in enumerate(self.channels):
            last = index == len(self.channels) - 1
            stages[f"conv{index + 1}"] = self._conv(channels, out, self.dropout / 2 if last else 0.0)
            channels = out
        size = channels * (height // shrink) * (width // shrink)
        for index, out in enumerate(self.dense):
            stages[f"dense{index + 1}"] = self._dense(size, out, flatten=index == 0)
            size = out
        return stages

    def _conv(self, channels: int, out: int, dropout: float) -> Callable[[], nn.Module]:
        def build() -> nn.Module:
            layers = [
                nn.Conv2d(channels, out, kernel_size=3, padding=1),
                norm2d(self.norm, out),
                nn.MaxPool2d(2),
                activation(self.activation),  # after pooling it sees a quarter of the values
                nn.Dropout(dropout),
            ]
            return nn.Sequential(*[layer for layer in layers if not is_idle(layer)])

        return build

    def _dense(self, size: int, out: int, flatten: bool) -> Callable[[], nn.Module]:
        def build() -> nn.Module:
            layers = [
                nn.Flatten() if flatten else nn.Identity(),
                nn.Linear(size, out),
                activation(self.activation),
                nn.Dropout(self.dropout),
            ]
            return nn.Sequential(*[layer for layer in layers if not is_idle(layer)])

        return build


def is_idle(layer: nn.Module) -> bool:
    """True for layers that change nothing: an identity, or dropout with probability 0."""
    return isinstance(layer, nn.Identity) or (isinstance(layer, nn.Dropout) and layer.p == 0)
