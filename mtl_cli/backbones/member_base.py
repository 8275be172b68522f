"""What backbones of several networks in one have in common: residual layers, and arguments."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.members import Members, ResidualMembers
from mtl_cli.layers.named import activation, check_names, checked_dropout


class MemberBackbone(Backbone):
    """Stages block1 … blockN on vectors of the width, of K members: each x + dropout(activation(linear(x))).

    A subclass says how inputs become vectors (`vectors`), behind which the members begin.
    """

    gives: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(self, width: int, blocks: int, members: int, dropout: float, activation: str, init: str) -> None:
        if min(width, blocks, members) < 1:
            raise ValueError(
                f"backbone.width is {width}, backbone.blocks {blocks}, backbone.members {members}; each is at least 1. "
                "Use for example backbone.width=128 backbone.blocks=2 backbone.members=4."
            )
        check_names(activation, init)
        self.width, self.blocks, self.members = width, blocks, members
        self.dropout, self.activation, self.init = checked_dropout(dropout), activation, init

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return a vector of the width."""
        return InputSpec("vector", (self.width,))

    @abstractmethod
    def vectors(self, inputs: InputSpec) -> nn.Module:
        """Return a module from the dataset's inputs to vectors [B, width]."""

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return what makes vectors of the inputs, and the beginning of the members: rows [B·K, width]."""
        return nn.Sequential(self.vectors(inputs), Members(self.members, self.width))

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the blocks; rows [B·K, width]."""
        return {f"block{index + 1}": self._block for index in range(self.blocks)}

    def _block(self) -> nn.Module:
        return ResidualMembers(self.members, self.width, activation(self.activation), self.dropout)


def checked_pieces(pieces: int, embedding: int) -> tuple[int, int]:
    """Return how numbers and categories are read.

    Raises:
        ValueError: a number is too small.
    """
    if pieces < 0 or embedding < 1:
        raise ValueError(
            f"backbone.pieces is {pieces}, backbone.embedding {embedding}; pieces are 0 or more, a category's vector "
            "has 1 number or more. Use for example backbone.pieces=32 backbone.embedding=16."
        )
    return pieces, embedding
