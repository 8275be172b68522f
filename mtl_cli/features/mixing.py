"""Layers over channels, and weighted sums of features, for values of any kind."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtl_cli.features.features import FeatureSpec


def join(parts: Sequence[Tensor]) -> Tensor:
    """Return the values, all of one kind and the same positions, side by side along the channels."""
    return torch.cat(list(parts), dim=1 if parts[0].ndim == 4 else -1)


def stitch(weights: Tensor, columns: Sequence[Tensor]) -> list[Tensor]:
    """Return Σₛ weights[t, s]·columns[s] for each t: weights [T, S] or, by channel, [T, S, D]; columns [B, ...].

    The sum is written out, because an einsum loses the memory layout of the columns, and a convolution rounds
    differently under another layout.
    """
    if weights.ndim == 3 and columns[0].ndim == 4:
        weights = weights[..., None, None]  # [T, S, D, 1, 1]
    return [sum_products(row, columns) for row in weights.unbind()]


def sum_products(weights: Tensor, columns: Sequence[Tensor]) -> Tensor:
    """Return Σₛ weights[s]·columns[s]."""
    total = weights[0] * columns[0]
    for weight, column in zip(weights[1:].unbind(), columns[1:], strict=True):
        total = total + weight * column
    return total


def local(spec: FeatureSpec, out: int) -> nn.Module:
    """Return a layer D to `out` that sees a neighbourhood: a 3×3 convolution for maps, else linear per position."""
    return nn.Conv2d(spec.width, out, kernel_size=3, padding=1) if spec.kind == "map" else nn.Linear(spec.width, out)


def pointwise(spec: FeatureSpec, out: int) -> nn.Module:
    """Return a linear map over channels at each position: D to `out`, for values of the kind of `spec`."""
    return nn.Conv2d(spec.width, out, kernel_size=1) if spec.kind == "map" else nn.Linear(spec.width, out)


def mixture(gates: Tensor, experts: Tensor) -> Tensor:
    """Return Σₑ gates[:, e]·experts[:, e]: gates [B, E], experts [B, E, ...] of any kind."""
    return torch.einsum("be,be...->b...", gates, experts)
