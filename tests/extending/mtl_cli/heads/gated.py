"""A gated linear head."""

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.base import Head


class GatedHead(Head):
    """σ(Wx + a) · (Vx + b) of the pooled features x: gated linear units (Dauphin et al., ICML 2017)."""

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from features to outputs [B, num_outputs]."""
        return Gated(spec.width, num_outputs)


class Gated(nn.Module):
    """One layer for gates and values."""

    def __init__(self, width: int, num_outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 2 * num_outputs)

    def forward(self, features: Features) -> Tensor:
        """Return outputs [B, num_outputs]."""
        gate, values = self.layer(pool(features)).chunk(2, dim=1)
        return gate.sigmoid() * values
