"""Stems of images that come with table columns and texts: one vector of them, added to every position."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.batch import IMAGE, THERE, InputSpec
from mtl_cli.layers.table import JoinedTable
from mtl_cli.layers.text import MeanOfText

EMBEDDING, HIDDEN = 8, 32
"""Width of the vector of a category, and of the hidden layer."""
WITHOUT = 0.1
"""Share of the training rows that go without their columns, so that images are understood without them too."""


class RowVector(nn.Module):
    """One vector per row [B, out] of the table columns and the text beside an image; 0 where they are not there.

    Numbers, embedded categories and the mean vector of the pieces of a text go through one hidden layer. In training
    one row in ten goes without them.

    Args:
        spec: of an image_row.
        out: width of the vector.
    """

    def __init__(self, spec: InputSpec, out: int) -> None:
        super().__init__()
        self.table = None if spec.table is None else JoinedTable(spec.table, EMBEDDING, HIDDEN)
        self.text = None if spec.text is None else MeanOfText(spec.text.categories[0], HIDDEN)
        if self.text is not None:
            with torch.no_grad():  # a mean of many vectors is small, and is to say as much as a number does
                self.text.embed.table.weight.mul_(HIDDEN**0.5)
        self.project = nn.Linear(HIDDEN, out)

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return vectors [B, out]."""
        parts = [part(values) for part in (self.table, self.text) if part is not None]
        there = values[THERE].unsqueeze(1)  # [B, 1]
        if self.training:
            there = there * (F.dropout(torch.ones_like(there), WITHOUT) > 0)
        return self.project(F.relu(sum(parts[1:], start=parts[0]))) * there


class ImageWithRow(nn.Module):
    """Images with a vector of what stands beside them added to every position.

    Args:
        images: brings images to the common number of channels.
        row: gives a vector of as many channels.
    """

    def __init__(self, images: nn.Module, row: RowVector) -> None:
        super().__init__()
        self.images, self.row = images, row

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return images [B, C, H, W]."""
        images = self.images(values[IMAGE])
        return images + self.row(values).to(images.dtype)[:, :, None, None]


class Named(nn.Module):
    """Hands one of several inputs to a module.

    Args:
        name: of the input.
        inner: the module.
    """

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.name, self.inner = name, inner

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return what the module makes of it."""
        return self.inner(values[self.name])
