"""Several networks in one on tables: piecewise-linear numbers, embedded categories, residual layers."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.members import Members, ResidualMembers
from mtl_cli.layers.named import activation, check_names, checked_dropout
from mtl_cli.layers.table import PiecewiseTable


class TabM(Backbone):
    """Stages block1 … blockN on vectors of the width, of K members: each x + dropout(activation(linear(x))).

    The stem, one per dataset, brings numbers, as themselves and by `pieces` of a line each, and embedded categories to
    the width. Members share every matrix, have factors and biases of their own, are each trained by its own loss, and
    predict together: see `Backbone.members`.

    Source: Gorishniy, Kotelnikov, Babenko, "TabM: advancing tabular deep learning with parameter-efficient ensembling",
    ICLR 2025, section 3. Differs from it in that members begin behind the stem's matrix, which is then multiplied once
    per sample rather than once per member; in residual layers, which keep what is linear in the inputs; and in that
    members share a head, whose outputs rather than probabilities are averaged.

    Args:
        width: D.
        blocks: N.
        members: K.
        pieces: pieces of the line for each number (`mtl_cli.layers.piecewise`); 0 takes numbers as they are.
        embedding: width of the vector of each category.
        dropout: probability, in each block.
        activation, init: as everywhere.
    """

    takes: ClassVar[tuple[str, ...]] = ("table", "vector")
    gives: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(
        self,
        width: int,
        blocks: int,
        members: int,
        pieces: int,
        embedding: int,
        dropout: float,
        activation: str,
        init: str,
    ) -> None:
        if min(width, blocks, members, embedding) < 1 or pieces < 0:
            raise ValueError(
                f"backbone.width is {width}, backbone.blocks {blocks}, backbone.members {members}, backbone.embedding "
                f"{embedding}, backbone.pieces {pieces}; each is at least 1, pieces at least 0. Use for example "
                "backbone.width=128 backbone.blocks=2 backbone.members=4 backbone.embedding=16 backbone.pieces=32."
            )
        check_names(activation, init)
        self.width, self.blocks, self.members, self.pieces = width, blocks, members, pieces
        self.embedding, self.dropout = embedding, checked_dropout(dropout)
        self.activation, self.init = activation, init

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return a vector of the width."""
        return InputSpec("vector", (self.width,))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a layer from the inputs to the width, and the beginning of the members."""
        return nn.Sequential(
            PiecewiseTable(inputs, self.pieces, self.embedding, self.width), Members(self.members, self.width)
        )

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the blocks; rows [B·K, D]."""
        return {f"block{index + 1}": self._block for index in range(self.blocks)}

    def _block(self) -> nn.Module:
        return ResidualMembers(self.members, self.width, activation(self.activation), self.dropout)
