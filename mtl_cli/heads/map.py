"""A head of convolutions on maps."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.base import Head
from mtl_cli.layers.convolution import conv_stack
from mtl_cli.layers.named import check_names, checked_dropout, initialise


class MapHead(Head):
    """3×3 convolutions of the `hidden` widths, then a 1×1 convolution; no hidden width makes it a linear head.

    Outputs have the size of the backbone's map; a task brings them to the size of its target.
    """

    gives: ClassVar[str] = "map"
    takes: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(
        self,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        norm: str = "group",
        activation: str = "relu",
        init: str = "default",
    ) -> None:
        if any(width < 1 for width in hidden):
            raise ValueError(f"head.hidden is {list(hidden)}; every width is at least 1.")
        check_names(activation, init, norm)
        self.hidden, self.dropout = tuple(hidden), checked_dropout(dropout)
        self.norm, self.activation, self.init = norm, activation, init

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from maps to outputs [B, num_outputs, H, W]."""
        layers = conv_stack(spec.width, self.hidden, 3, self.norm, self.activation, self.dropout)
        layers.append(nn.Conv2d(self.hidden[-1] if self.hidden else spec.width, num_outputs, 1))
        module = EachPosition(layers)
        initialise(module, self.init)
        return module


class EachPosition(nn.Module):
    """Convolutions on the values of a map."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Features) -> Tensor:
        """Return outputs [B, num_outputs, H, W]."""
        return self.layers(features.values)
