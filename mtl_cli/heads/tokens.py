"""A head of dense layers on every token."""

from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.dense_base import DenseHead
from mtl_cli.layers.dense import dense_stack
from mtl_cli.layers.named import initialise


class TokenHead(DenseHead):
    """Dense layers of the `hidden` widths on each token, then a linear one; needs sequences."""

    gives: ClassVar[str] = "sequence"
    takes: ClassVar[tuple[str, ...]] = ("sequence",)

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from sequences to outputs [B, L, num_outputs]."""
        layers = dense_stack(spec.width, self.hidden, num_outputs, self.activation, self.dropout)
        module = EachToken(layers)
        initialise(module, self.init)
        return module


class EachToken(nn.Module):
    """Dense layers on every token of a sequence."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Features) -> Tensor:
        """Return outputs [B, L, num_outputs]."""
        return self.layers(features.values)
