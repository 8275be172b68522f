"""Several networks in one on tables: piecewise-linear numbers, embedded categories, residual layers."""

from typing import ClassVar

from torch import nn

from mtl_cli.backbones.member_base import MemberBackbone, checked_pieces
from mtl_cli.batch import InputSpec
from mtl_cli.layers.table import PiecewiseTable


class TabM(MemberBackbone):
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
        super().__init__(width, blocks, members, dropout, activation, init)
        self.pieces, self.embedding = checked_pieces(pieces, embedding)

    def vectors(self, inputs: InputSpec) -> nn.Module:
        """Return a linear layer on pieces and embedded categories, to vectors [B, width]."""
        return PiecewiseTable(inputs, self.pieces, self.embedding, self.width)
