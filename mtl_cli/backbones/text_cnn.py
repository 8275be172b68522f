"""A convolutional network on texts."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.text_base import TextBackbone, checked_sizes
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import activation, check_names, checked_dropout
from mtl_cli.layers.text import MaxOverTime, TextConvolution


class TextCNN(TextBackbone):
    """Stages conv1 … convN, sequences [B, L, num_filters · widths], then max: vectors.

    Source: Kim, "Convolutional neural networks for sentence classification", EMNLP 2014, for one layer of convolutions.
    The vectors [B, num_filters · widths] are maxima over time. Tasks on tokens use the sequences: `last=conv` leaves
    the maximum out, and heads on whole texts take the mean.
    """

    gives: ClassVar[tuple[str, ...]] = ("vector", "sequence")
    to_give: ClassVar[Mapping[str, str]] = {"sequence": "backbone.last=conv"}

    def __init__(
        self,
        embedding: int,
        num_filters: int,
        widths: Sequence[int],
        num_layers: int,
        last: str,
        dropout: float,
        activation: str,
        init: str,
    ) -> None:
        checked_sizes(embedding=embedding, num_filters=num_filters, num_layers=num_layers)
        if not widths or min(widths) < 1 or len(set(widths)) < len(widths):
            raise ValueError(f"backbone.widths is {list(widths)}; give widths ≥ 1, each once: [3, 4, 5].")
        if last not in ("max", "conv"):
            raise ValueError(
                f"backbone.last is '{last}'; it is max (whole texts) or conv (tokens). Use backbone.last=max."
            )
        check_names(activation, init)
        self.embedding, self.num_filters, self.widths = embedding, num_filters, list(widths)
        self.num_layers, self.last, self.dropout = num_layers, last, checked_dropout(dropout)
        self.activation, self.init = activation, init

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; sequences [B, L, num_filters · widths], then vectors."""

        def conv(fan_in: int) -> Callable[[], nn.Module]:
            return lambda: TextConvolution(
                fan_in, self.num_filters, self.widths, activation(self.activation), self.dropout
            )

        width = self.num_filters * len(self.widths)
        fans = [common.shape[0], *[width] * (self.num_layers - 1)]
        stages = {f"conv{index + 1}": conv(fan_in) for index, fan_in in enumerate(fans)}
        return {**stages, "max": MaxOverTime} if self.last == "max" else stages
