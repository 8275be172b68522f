"""Embedded categories beside numbers, then a multi-layer perceptron."""

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import activation, check_names, checked_dropout
from mtl_cli.layers.table import JoinedTable


class Tabular(Backbone):
    """Stages dense1 … denseN: linear – activation – dropout, on vectors of the first hidden width.

    The stem, one per dataset, embeds its categories and brings them with its numbers to that width, so that datasets of
    different columns share the stages.

    Source: G. Guo, F. Berkhahn, "Entity embeddings of categorical variables", 2016.
    """

    def __init__(self, hidden: Sequence[int], embedding: int, dropout: float, activation: str, init: str) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"backbone.hidden is {list(hidden)}; give at least one width ≥ 1.")
        if embedding < 1:
            raise ValueError(f"backbone.embedding is {embedding}; it is the width of a category's vector, ≥ 1.")
        check_names(activation, init)
        self.hidden, self.embedding, self.dropout = list(hidden), embedding, checked_dropout(dropout)
        self.activation, self.init = activation, init

    def common_input(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return a vector of the first hidden width.

        Raises:
            ValueError: a dataset's inputs are neither tables nor vectors.
        """
        for dataset, spec in inputs.items():
            if spec.kind not in ("table", "vector"):
                raise ValueError(
                    f"backbone=tabular takes tables or vectors; dataset '{dataset}' has {spec.kind} inputs. "
                    "Use for example backbone=cnn for images, backbone=mlp for images beside tables, or "
                    "backbone=gru for texts, also with table columns."
                )
        return InputSpec("vector", (self.hidden[0],))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a layer from the inputs to the first hidden width, with its activation."""
        out = common.shape[0]
        layer = nn.Linear(inputs.shape[0], out) if inputs.kind == "vector" else JoinedTable(inputs, self.embedding, out)
        return nn.Sequential(layer, activation(self.activation))

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; vectors [B, hidden[i]]."""

        def dense(fan_in: int, out: int) -> Callable[[], nn.Module]:
            return lambda: nn.Sequential(nn.Linear(fan_in, out), activation(self.activation), nn.Dropout(self.dropout))

        widths = [common.shape[0], *self.hidden]
        return {f"dense{i + 1}": dense(widths[i], widths[i + 1]) for i in range(len(self.hidden))}
