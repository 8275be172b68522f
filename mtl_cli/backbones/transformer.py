"""A transformer on texts, trained from scratch."""

import math
from collections.abc import Callable
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.text_base import TextBackbone, checked_sizes
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import check_names, checked_dropout
from mtl_cli.layers.text import TransformerLayer


class Transformer(TextBackbone):
    """Stages layer1 … layerN: self-attention and feed-forward, sequences [B, L, width].

    Source: Vaswani et al., "Attention is all you need", NIPS 2017: the layers of its left half, and its sinusoids.
    """

    gives: ClassVar[tuple[str, ...]] = ("sequence",)

    positions = True

    def __init__(
        self, width: int, num_heads: int, hidden_factor: int, num_layers: int, dropout: float, init: str
    ) -> None:
        checked_sizes(width=width, num_heads=num_heads, hidden_factor=hidden_factor, num_layers=num_layers)
        if width % num_heads or width % 2:
            fits = math.lcm(num_heads, 2) * max(1, width // math.lcm(num_heads, 2))
            raise ValueError(
                f"backbone.width is {width}; it is even and a multiple of backbone.num_heads={num_heads}. "
                f"Use for example backbone.width={fits}."
            )
        check_names(init=init)
        self.width, self.num_heads, self.hidden_factor = width, num_heads, hidden_factor
        self.num_layers, self.dropout, self.init = num_layers, checked_dropout(dropout), init
        self.embedding = width

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; sequences [B, L, width]."""

        def layer() -> nn.Module:
            return TransformerLayer(self.width, self.num_heads, self.hidden_factor * self.width, self.dropout)

        return {f"layer{index + 1}": layer for index in range(self.num_layers)}
