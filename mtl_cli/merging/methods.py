"""Merging as arithmetic on task vectors: what each task's training added to weights that all of them started from."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
DENSITY = 0.2
"""Share of each task vector's entries that TIES keeps, those of the largest magnitude; as in its paper."""


def task_arithmetic(vectors: Sequence[Tensor]) -> Tensor:
    """Return the sum of task vectors [P].

    Source: Ilharco et al., "Editing Models with Task Arithmetic", ICLR 2023.
    """
    return torch.stack(list(vectors)).sum(dim=0)


def ties(vectors: Sequence[Tensor], density: float = DENSITY) -> Tensor:
    """Return the mean, entry by entry, of the trimmed task vectors [P] that have the elected sign.

    Source: Yadav et al., "TIES-Merging: Resolving Interference When Merging Models", NeurIPS 2023. The elected sign of
    an entry is that of its sum over the trimmed vectors; where the sum is 0 there is none, and nothing is added.
    """
    trimmed = torch.stack([trim(vector, density) for vector in vectors])
    agrees = (trimmed.sign() == elected_sign(trimmed)) & (trimmed != 0)
    return (trimmed * agrees).sum(dim=0) / agrees.sum(dim=0).clamp(min=1)


def trim(vector: Tensor, density: float) -> Tensor:
    """Return a vector [P] in which all but the `density` share of the entries of largest magnitude are 0.

    At least one entry is kept; of equal ones, those that come first.
    """
    kept = max(1, round(density * vector.numel()))
    order = vector.abs().argsort(descending=True, stable=True)[:kept]
    return torch.zeros_like(vector).index_copy(0, order, vector[order])


def elected_sign(trimmed: Tensor) -> Tensor:
    """Return the sign, −1, 0 or 1, of each entry's sum over the trimmed vectors [K, P]."""
    return trimmed.sum(dim=0).sign()


METHODS: dict[str, Callable[[Sequence[Tensor]], Tensor]] = {"task_arithmetic": task_arithmetic, "ties": ties}


def direction(method: str, start: Weights, ends: Sequence[Weights]) -> dict[str, Tensor]:
    """Return what `method` makes of the ways from `start` to `ends`, which have the same tensors, in their shapes.

    All tensors of a model are one vector, in double precision, so that trimming compares entries of all layers.
    """
    flat_start = _flat(start, start)
    merged = METHODS[method]([_flat(end, start) - flat_start for end in ends])
    parts = merged.split([tensor.numel() for tensor in start.values()])
    return {name: part.view(start[name].shape) for name, part in zip(start, parts, strict=True)}


def moved(start: Weights, way: Weights, scale: float) -> dict[str, Tensor]:
    """Return start + scale · way, in the precision of `start`."""
    return {name: (tensor.double() + scale * way[name]).to(tensor.dtype) for name, tensor in start.items()}


def _flat(weights: Weights, order: Weights) -> Tensor:
    return torch.cat([weights[name].double().flatten() for name in order])
