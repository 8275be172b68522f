"""A head of dense layers on every token."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.base import Head
from mtl_cli.layers.named import activation, check_names, checked_dropout, initialise


class TokenHead(Head):
    """Dense layers of the `hidden` widths on each token, then a linear one; needs sequences."""

    gives: ClassVar[str] = "sequence"

    def __init__(
        self, hidden: Sequence[int] = (), dropout: float = 0.0, activation: str = "relu", init: str = "default"
    ) -> None:
        if any(width < 1 for width in hidden):
            raise ValueError(f"head.hidden is {list(hidden)}; every width is at least 1.")
        check_names(activation, init)
        self.hidden, self.dropout = tuple(hidden), checked_dropout(dropout)
        self.activation, self.init = activation, init

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from sequences to outputs [B, L, num_outputs].

        Raises:
            ValueError: the features are no sequences.
        """
        if spec.kind != "sequence":
            raise ValueError(
                f"A task on tokens needs features of every token; the backbone gives a {spec.kind} {spec.shape}. Use "
                "backbone=gru, lstm, transformer, hf or backbone=text_cnn backbone.last=conv, or attach the task to a "
                "stage below: sharing=hierarchical 'sharing.attach={TASK: 1}'."
            )
        layers: list[nn.Module] = []
        width = spec.width
        for hidden in self.hidden:
            layers += [nn.Linear(width, hidden), activation(self.activation), nn.Dropout(self.dropout)]
            width = hidden
        layers.append(nn.Linear(width, num_outputs))
        module = EachToken(nn.Sequential(*layers))
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
