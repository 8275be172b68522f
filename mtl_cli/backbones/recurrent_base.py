"""What recurrent backbones have in common: bidirectional layers on packed sequences, one per stage."""

from collections.abc import Callable
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.text_base import TextBackbone, checked_sizes
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import check_names, checked_dropout
from mtl_cli.layers.text import Recurrent


class RecurrentBackbone(TextBackbone):
    """Stages layer1 … layerN: sequences [B, L, width], half of the width a direction, then linear and dropout."""

    gives: ClassVar[tuple[str, ...]] = ("sequence",)

    layer: ClassVar[type[nn.LSTM] | type[nn.GRU]]

    def __init__(self, embedding: int, width: int, num_layers: int, dropout: float, init: str) -> None:
        checked_sizes(embedding=embedding, width=width, num_layers=num_layers)
        if width % 2:
            raise ValueError(f"backbone.width is {width}; half of it is for each direction. Use {width + 1}.")
        check_names(init=init)
        self.embedding, self.width, self.num_layers = embedding, width, num_layers
        self.dropout, self.init = checked_dropout(dropout), init

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; sequences [B, L, width]."""

        def layer(fan_in: int) -> Callable[[], nn.Module]:
            return lambda: Recurrent(self.layer, fan_in, self.width, self.dropout)

        widths = [common.shape[0], *[self.width] * self.num_layers]
        return {f"layer{index + 1}": layer(widths[index]) for index in range(self.num_layers)}
