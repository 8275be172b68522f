"""Texts as bags of n-grams, alone or with table columns: for few texts, and fast."""

from typing import ClassVar

from torch import nn

from mtl_cli.backbones.member_base import MemberBackbone, checked_pieces
from mtl_cli.batch import InputSpec
from mtl_cli.layers.ngrams import BagBesideTable, BagOfNGrams
from mtl_cli.layers.table import PiecewiseTable


class NGrams(MemberBackbone):
    """Stages block1 … blockN on vectors of the width, of K members: each x + dropout(activation(linear(x))).

    The stem, one per dataset, adds up the vectors of a text's pieces and of its runs of 2 to `longest` pieces, which
    share `buckets` vectors. Table columns beside the text are read as in `tabm` and added. The order of pieces counts
    within runs only.

    Source: Joulin, Grave, Bojanowski, Mikolov, "Bag of tricks for efficient text classification", EACL 2017. Differs
    from it in the sum over √number rather than the mean (`mtl_cli.layers.ngrams`), and in the blocks and members.

    Args:
        width: D.
        longest: pieces of the longest runs; 1 takes pieces alone.
        buckets: vectors that all runs share.
        blocks: N.
        members: K.
        pieces, embedding: how table columns are read.
        dropout: probability, in each block.
        activation, init: as everywhere.
    """

    takes: ClassVar[tuple[str, ...]] = ("text", "text_table")

    def __init__(
        self,
        width: int,
        longest: int,
        buckets: int,
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
        if longest < 1 or buckets < 1:
            raise ValueError(
                f"backbone.longest is {longest}, backbone.buckets {buckets}; each is at least 1. Use for example "
                "backbone.longest=2 backbone.buckets=32768."
            )
        self.longest, self.buckets = longest, buckets

    def vectors(self, inputs: InputSpec) -> nn.Module:
        """Return the sum of n-grams, and of table columns where there are any, to vectors [B, width]."""
        text = BagOfNGrams(inputs.categories[0], self.width, self.longest, self.buckets)
        if inputs.table is None:
            return text
        return BagBesideTable(text, PiecewiseTable(inputs.table, self.pieces, self.embedding, self.width))
