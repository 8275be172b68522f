"""A head of dense layers on pooled features."""

from collections.abc import Hashable, Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.base import LinearHead
from mtl_cli.heads.dense_base import DenseHead
from mtl_cli.heads.stack_base import StackedHeads
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

    @property
    def form(self) -> Hashable:
        """Widths, activation and dropout; a subclass builds something else."""
        return (self.hidden, self.activation, self.dropout) if type(self) is MLPHead else None

    def stacked(self, heads: Mapping[str, nn.Module]) -> StackedHeads:
        """Return the heads of several tasks as one module."""
        return StackedDense(heads)


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


class StackedDense(StackedHeads):
    """`PooledHead`s of T tasks: the first layers are one product, later ones a batched product."""

    def __init__(self, heads: Mapping[str, nn.Module]) -> None:
        super().__init__(heads)
        first = next(iter(heads.values()))
        assert isinstance(first, PooledHead), "stacked are the modules that MLPHead builds"
        self.between = nn.ModuleList(layer for layer in first.layers if not isinstance(layer, nn.Linear))
        """Activations and dropout, which have no parameters."""
        self._linear = [isinstance(layer, nn.Linear) for layer in first.layers]

    def read(self, features: Features) -> Tensor:
        """Return the pooled features [B, D]."""
        return pool(features)

    def run(self, values: Tensor) -> Tensor:
        """Return outputs [B, T, O]."""
        values = values.transpose(0, 1) if values.ndim == 3 else values
        rows, between = iter(self.rows), iter(self.between)
        for is_linear in self._linear:
            values = linear_by_task(values, next(rows), next(rows)) if is_linear else next(between)(values)
        return values


def linear_by_task(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the outputs [B, T, O] of T linear layers, weight [T, O, D], of values [B, D] or of its own [B, T, D]."""
    if values.ndim == 2:
        return F.linear(values, weight.view(-1, weight.shape[-1]), bias.view(-1)).view(-1, *bias.shape)
    products = values.transpose(0, 1) @ weight.transpose(1, 2)  # [T, B, O]
    return products.transpose(0, 1) + bias
