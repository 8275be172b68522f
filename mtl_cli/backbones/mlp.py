"""A multi-layer perceptron on vectors, flattened images or tables."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.dense import dense_stages
from mtl_cli.layers.named import check_names, checked_dropout
from mtl_cli.layers.table import SummedTable


class MLP(Backbone):
    """Stages dense1 … denseN: linear – activation – dropout.

    Datasets of different input sizes share it through one linear stem per dataset, to the first hidden width; so do
    tables, whose categories count as one-hot.
    """

    takes: ClassVar[tuple[str, ...]] = ("vector", "image", "table")
    gives: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(self, hidden: Sequence[int], dropout: float, activation: str, init: str) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"backbone.hidden is {list(hidden)}; give at least one width ≥ 1.")
        check_names(activation, init)
        self.hidden, self.dropout = list(hidden), checked_dropout(dropout)
        self.activation, self.init = activation, init

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return the flattened input where all datasets agree, else a vector of the first hidden width."""
        sizes = {self.hidden[0] if spec.kind == "table" else math.prod(spec.shape) for spec in inputs.values()}
        return InputSpec("vector", (sizes.pop() if len(sizes) == 1 else self.hidden[0],))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a flattening stem, with a linear layer where the sizes differ; always with one for a table."""
        if inputs.kind == "table":
            return SummedTable(inputs, common.shape[0])
        size = math.prod(inputs.shape)
        return Flat() if (size,) == common.shape else nn.Sequential(Flat(), nn.Linear(size, common.shape[0]))

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; vectors [B, hidden[i]]."""
        return dense_stages(common.shape[0], self.hidden, self.activation, self.dropout)


class Flat(nn.Module):
    """Flattens all but the batch."""

    def forward(self, values: Tensor) -> Tensor:
        """Return values [B, D]."""
        return values.flatten(1)
