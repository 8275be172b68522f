"""Layers from the inputs of a table to vectors."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtl_cli.batch import InputSpec
from mtl_cli.layers.piecewise import PiecewiseLinear


class CategoryEmbedding(nn.Module):
    """One vector for each category of each column, all columns in one matrix; unknown categories (0) start at zero.

    Args:
        sizes: categories of each column [M], the unknown one included.
        width: D, the width of the vectors.
    """

    offsets: Tensor

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)
        starts = torch.tensor([0, *itertools.accumulate(sizes)][:-1])
        self.register_buffer("offsets", starts, persistent=False)
        with torch.no_grad():
            self.table.weight[starts] = 0.0

    def forward(self, categorical: Tensor) -> Tensor:
        """Return vectors [B, M, D] of categories int64 [B, M]."""
        return self.table(categorical + self.offsets)


class JoinedTable(nn.Module):
    """A linear layer on numbers and embedded categories side by side: [B, N + M·D] to [B, out]."""

    def __init__(self, spec: InputSpec, embedding: int, out: int) -> None:
        super().__init__()
        num_categorical = len(spec.categories)
        num_numeric = spec.shape[0] - num_categorical
        self.embed = CategoryEmbedding(spec.categories, embedding) if num_categorical else None
        self.project = nn.Linear(num_numeric + num_categorical * embedding, out)

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return vectors [B, out] of `numeric` [B, N] and `categorical` [B, M]."""
        parts = [values["numeric"]]
        if self.embed is not None:
            parts.append(self.embed(values["categorical"]).flatten(1))
        return self.project(torch.cat(parts, dim=1))


class PiecewiseTable(nn.Module):
    """A linear layer on piecewise-linear numbers and embedded categories side by side: to [B, out].

    It also takes plain vectors [B, N], as numbers.

    Args:
        spec: of a table or a vector.
        pieces: of each number; 0 takes numbers as they are.
        embedding: width of the vector of each category.
        out: width of the result.
    """

    def __init__(self, spec: InputSpec, pieces: int, embedding: int, out: int) -> None:
        super().__init__()
        num_categorical = len(spec.categories)
        num_numeric = spec.shape[0] - num_categorical
        self.numbers = PiecewiseLinear(pieces) if pieces else nn.Identity()
        self.embed = CategoryEmbedding(spec.categories, embedding) if num_categorical else None
        if self.embed is not None:
            with torch.no_grad():  # what a rare category says is then learnt, not there by chance
                self.embed.table.weight.mul_(0.1)
        self.project = nn.Linear(num_numeric * (pieces + 1) + num_categorical * embedding, out)

    def forward(self, values: Mapping[str, Tensor] | Tensor) -> Tensor:
        """Return vectors [B, out] of `numeric` [B, N] and `categorical` [B, M], or of vectors [B, N]."""
        parts = [self.numbers(values if isinstance(values, Tensor) else values["numeric"])]
        if self.embed is not None and not isinstance(values, Tensor):
            parts.append(self.embed(values["categorical"]).flatten(1))
        return self.project(torch.cat(parts, dim=1))


class SummedTable(nn.Module):
    """A linear layer on numbers and one-hot categories, [B, out], without making the zeros."""

    def __init__(self, spec: InputSpec, out: int) -> None:
        super().__init__()
        num_categorical = len(spec.categories)
        num_numeric = spec.shape[0] - num_categorical
        self.numeric = nn.Linear(num_numeric, out) if num_numeric else None
        self.embed = CategoryEmbedding(spec.categories, out) if num_categorical else None
        if self.embed is not None:
            with torch.no_grad():
                self.embed.table.weight.mul_(1.0 / (num_categorical + num_numeric) ** 0.5)

    def forward(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return vectors [B, out] of `numeric` [B, N] and `categorical` [B, M]."""
        parts = []
        if self.numeric is not None:
            parts.append(self.numeric(values["numeric"]))
        if self.embed is not None:
            parts.append(self.embed(values["categorical"]).sum(dim=1))
        return sum(parts[1:], start=parts[0])
