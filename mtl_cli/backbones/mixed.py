"""Images, tables, vectors and texts in one run: a stem for each, and dense layers that all share."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import IMAGE, InputSpec
from mtl_cli.layers.dense import dense_stages
from mtl_cli.layers.image_row import Named, RowVector
from mtl_cli.layers.named import activation, check_names, checked_dropout
from mtl_cli.layers.table import JoinedTable
from mtl_cli.layers.text import MeanOfText

GRID = 4
"""Height and width that an image's maps are pooled to."""


class Mixed(Backbone):
    """Stages dense1 … denseN on vectors of the first hidden width: linear – activation – dropout.

    The stem of a dataset brings its inputs there, whatever they are: convolutions for images, embedded categories
    beside numbers for tables, the mean of the vectors of its pieces for texts, a linear layer for vectors. So the tasks
    of one run share what lies above, not how their inputs are read; a run on texts alone has better backbones.
    """

    takes: ClassVar[tuple[str, ...]] = ("image", "image_row", "table", "vector", "text", "text_table")
    gives: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(
        self,
        hidden: Sequence[int],
        channels: Sequence[int],
        embedding: int,
        dropout: float,
        activation: str,
        init: str,
    ) -> None:
        if not hidden or not channels or min([*hidden, *channels, embedding]) < 1:
            raise ValueError(
                f"backbone.hidden is {list(hidden)}, channels {list(channels)}, embedding {embedding}; give widths ≥ 1."
            )
        check_names(activation, init)
        self.hidden, self.channels, self.embedding = list(hidden), list(channels), embedding
        self.dropout, self.activation, self.init = checked_dropout(dropout), activation, init

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return a vector of the first hidden width."""
        return InputSpec("vector", (self.hidden[0],))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a module from the dataset's inputs to vectors [B, hidden[0]]."""
        out = common.shape[0]
        if inputs.kind == "image":
            layer: nn.Module = ImageVector(inputs.shape[0], self.channels, self.activation, out)
        elif inputs.kind == "image_row":
            images = Named(IMAGE, ImageVector(inputs.shape[0], self.channels, self.activation, out))
            layer = Sum(images, RowVector(inputs, out))
        elif inputs.kind == "table":
            layer = JoinedTable(inputs, self.embedding, out)
        elif inputs.kind in ("text", "text_table"):
            layer = nn.Sequential(MeanOfText(inputs.categories[0], out), nn.Linear(out, out))
            if inputs.table is not None:
                layer = Sum(layer, JoinedTable(inputs.table, self.embedding, out))
        else:
            layer = nn.Linear(inputs.shape[0], out)
        return nn.Sequential(layer, activation(self.activation))

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; vectors [B, hidden[i]]."""
        return dense_stages(common.shape[0], self.hidden, self.activation, self.dropout)


class Sum(nn.Module):
    """The sum of what several modules make of the same inputs."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return the sum, in the shape of each."""
        first, *others = (part(values) for part in self.parts)
        return sum(others, start=first)


class ImageVector(nn.Module):
    """Convolutions 3×3 with max pooling, pooled to 4×4, then linear: images [B, C, H, W] to vectors [B, out]."""

    def __init__(self, fan_in: int, channels: Sequence[int], activation_name: str, out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in channels:
            layers += [nn.Conv2d(fan_in, width, 3, padding=1), nn.MaxPool2d(2, ceil_mode=True)]
            layers.append(activation(activation_name))
            fan_in = width
        self.convolutions, self.pool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d(GRID)
        self.project = nn.Linear(fan_in * GRID * GRID, out)

    def forward(self, images: Tensor) -> Tensor:
        """Return vectors [B, out]."""
        return self.project(self.pool(self.convolutions(images)).flatten(1))
