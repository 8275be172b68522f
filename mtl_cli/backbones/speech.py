"""A convolution-augmented transformer on sounds."""

import math
from collections.abc import Callable
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import check_names, checked_dropout
from mtl_cli.layers.sound import ConformerLayer, JoinFrames, PlainFrames

FACTORS = (1, 2, 4, 8)


class Speech(Backbone):
    """Stages join, which makes one frame of `subsampling` ones, then layer1 … layerN: sequences [B, L', width].

    Source: Gulati et al., "Conformer: convolution-augmented transformer for speech recognition", Interspeech 2020.
    Datasets of equal features share all stages; their stems are without parameters. Differs from the paper as
    `mtl_cli.layers.sound.ConformerLayer` says.

    Also called: conformer.
    """

    takes: ClassVar[tuple[str, ...]] = ("sound",)
    gives: ClassVar[tuple[str, ...]] = ("sequence",)

    def __init__(
        self,
        width: int,
        num_heads: int,
        hidden_factor: int,
        num_layers: int,
        kernel: int,
        filters: int,
        subsampling: int,
        dropout: float,
        init: str,
    ) -> None:
        sizes = {"width": width, "num_heads": num_heads, "hidden_factor": hidden_factor, "num_layers": num_layers}
        for name, size in (sizes | {"kernel": kernel, "filters": filters}).items():
            if size < 1:
                raise ValueError(f"backbone.{name} is {size}; it is 1 or more.")
        if width % num_heads or width % 2:
            fits = math.lcm(num_heads, 2) * max(1, width // math.lcm(num_heads, 2))
            raise ValueError(
                f"backbone.width is {width}; it is even and a multiple of backbone.num_heads={num_heads}. "
                f"Use for example backbone.width={fits}."
            )
        if kernel % 2 == 0:
            raise ValueError(f"backbone.kernel is {kernel}; it is odd, so that frames stay in their places. Use 15.")
        if subsampling not in FACTORS:
            raise ValueError(f"backbone.subsampling is {subsampling}; it is one of {', '.join(map(str, FACTORS))}.")
        check_names(init=init)
        self.width, self.num_heads, self.hidden_factor, self.num_layers = width, num_heads, hidden_factor, num_layers
        self.kernel, self.filters, self.subsampling = kernel, filters, subsampling
        self.dropout, self.init = checked_dropout(dropout), init

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a stem without parameters."""
        return PlainFrames()

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; sequences [B, L / subsampling, width]."""

        def join() -> nn.Module:
            return JoinFrames(common.shape[0], self.filters, self.width, self.subsampling, self.dropout)

        def layer() -> nn.Module:
            return ConformerLayer(
                self.width, self.num_heads, self.hidden_factor * self.width, self.kernel, self.dropout
            )

        return {"join": join, **{f"layer{index + 1}": layer for index in range(self.num_layers)}}
