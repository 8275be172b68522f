"""Embedded categories beside numbers, then a multi-layer perceptron."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.dense import dense_stages
from mtl_cli.layers.named import activation, check_names, checked_dropout
from mtl_cli.layers.table import JoinedTable


class Tabular(Backbone):
    """Stages dense1 … denseN: linear – activation – dropout, on vectors of the first hidden width.

    The stem, one per dataset, embeds its categories and brings them with its numbers to that width, so that datasets of
    different columns share the stages.

    Source: G. Guo, F. Berkhahn, "Entity embeddings of categorical variables", 2016.
    """

    takes: ClassVar[tuple[str, ...]] = ("table", "vector")
    gives: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(self, hidden: Sequence[int], embedding: int, dropout: float, activation: str, init: str) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"backbone.hidden is {list(hidden)}; give at least one width ≥ 1.")
        if embedding < 1:
            raise ValueError(f"backbone.embedding is {embedding}; it is the width of a category's vector, ≥ 1.")
        check_names(activation, init)
        self.hidden, self.embedding, self.dropout = list(hidden), embedding, checked_dropout(dropout)
        self.activation, self.init = activation, init

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return a vector of the first hidden width."""
        return InputSpec("vector", (self.hidden[0],))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a layer from the inputs to the first hidden width, with its activation."""
        out = common.shape[0]
        layer = nn.Linear(inputs.shape[0], out) if inputs.kind == "vector" else JoinedTable(inputs, self.embedding, out)
        return nn.Sequential(layer, activation(self.activation))

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; vectors [B, hidden[i]]."""
        return dense_stages(common.shape[0], self.hidden, self.activation, self.dropout)
