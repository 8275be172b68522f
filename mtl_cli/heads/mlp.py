"""A head of dense layers on pooled features."""

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.base import LinearHead
from mtl_cli.heads.dense_base import DenseHead
from mtl_cli.layers.dense import dense_stack
from mtl_cli.layers.named import initialise


class MLPHead(DenseHead):
    """Dense layers of the `hidden` widths, then a linear one; no hidden width makes it a linear head."""

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from features to outputs [B, num_outputs]."""
        layers = dense_stack(spec.width, self.hidden, num_outputs, self.activation, self.dropout or None)
        module = PooledHead(layers)
        initialise(module, self.init)
        return module


class PooledHead(LinearHead):
    """Dense layers on one vector per sample."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Features) -> Tensor:
        """Return outputs [B, num_outputs]."""
        return self.layers(self.read(features))

    def last_layer(self) -> nn.Linear | None:
        """Return the only layer; None where there are several."""
        layer = self.layers[-1]
        return layer if len(self.layers) == 1 and isinstance(layer, nn.Linear) else None

    def read(self, features: Features) -> Tensor:
        """Return the pooled features [B, D]."""
        return pool(features)
