"""A head of dense layers on pooled features."""

from collections.abc import Sequence

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.base import Head
from mtl_cli.layers.named import activation, check_names, checked_dropout, initialise


class MLPHead(Head):
    """Dense layers of the `hidden` widths, then a linear one; no hidden width makes it a linear head."""

    def __init__(
        self, hidden: Sequence[int] = (), dropout: float = 0.0, activation: str = "relu", init: str = "default"
    ) -> None:
        if any(width < 1 for width in hidden):
            raise ValueError(f"head.hidden is {list(hidden)}; every width is at least 1.")
        check_names(activation, init)
        self.hidden, self.dropout, self.activation, self.init = (
            tuple(hidden),
            checked_dropout(dropout),
            activation,
            init,
        )

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from features to outputs [B, num_outputs]."""
        layers: list[nn.Module] = []
        width = spec.width
        for hidden in self.hidden:
            layers += [nn.Linear(width, hidden), activation(self.activation)]
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            width = hidden
        layers.append(nn.Linear(width, num_outputs))
        module = PooledHead(nn.Sequential(*layers))
        initialise(module, self.init)
        return module


class PooledHead(nn.Module):
    """Dense layers on one vector a sample."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Features) -> Tensor:
        """Return outputs [B, num_outputs]."""
        return self.layers(pool(features))
