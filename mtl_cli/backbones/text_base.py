"""What backbones of sequences that are trained from scratch have in common: a stem per dataset gives vectors.

The vectors are those of the pieces of a text, looked up in a table, or of the frames of a sound, by a linear layer.
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.sound import EmbedFrames
from mtl_cli.layers.text import EmbedText, ScaledTable, TextBesideTable


class TextBackbone(Backbone):
    """A backbone whose stem, one per dataset, looks up the vectors of its pieces: datasets keep their vocabularies.

    The stem of sounds has a linear layer on frames.
    """

    takes: ClassVar[tuple[str, ...]] = ("text", "text_table", "sound")

    embedding: int
    dropout: float
    positions = False
    """Whether the stem adds sinusoids of positions."""

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return sequences of the width of the vectors."""
        return InputSpec("text", (self.embedding,))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return the vectors of the dataset's pieces, with its table columns where it has any, or of its frames."""
        width = common.shape[0]
        if inputs.kind == "sound":
            return EmbedFrames(inputs.shape[0], width, self.dropout, self.positions)
        text = EmbedText(inputs.categories[0], width, self.dropout, self.positions)
        if inputs.table is None:
            return text
        return TextBesideTable(text, ScaledTable(inputs.table, width, 1.0 if self.positions else width**-0.5))


def checked_sizes(**sizes: int) -> None:
    """Check widths and numbers of layers.

    Raises:
        ValueError: one is below 1.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"backbone.{name} is {size}; it is 1 or more.")
