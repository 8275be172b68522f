"""Labelled images, and fixed rules that divide them into training, validation and test rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Images uint8 [N, C, H, W] and their classes int64 [N]."""

    images: Tensor
    labels: Tensor

    def take(self, indices: Tensor) -> "Rows":
        """Return the rows at `indices` [M], in that order."""
        return Rows(self.images[indices], self.labels[indices])


def stratified(labels: Tensor, sizes: Sequence[int], seed: int) -> list[Tensor]:
    """Divide rows into parts of the given sizes, each with the classes in their overall proportions.

    1. Rows are put in the order of one seeded permutation. It is NumPy's legacy one, whose stream is frozen, so that a
       split never changes with a version.
    2. Each part has a quota of every class, rounded by the method of largest remainders, so that sizes are exact.
    3. Each part takes its quotas in that order.

    Args:
        labels: classes [N].
        sizes: rows of each part but the first, which takes the rest.
        seed: seed of the permutation.

    Returns:
        Indices [M] of each part, the rest first.
    """
    order = np.random.RandomState(seed).permutation(len(labels))
    classes = labels.numpy()[order]
    counts = np.bincount(classes)
    part = np.zeros(len(order), dtype=np.int64)
    taken = np.zeros_like(counts)
    for number, size in enumerate(sizes, start=1):
        quotas = largest_remainders(counts, size)
        for label, quota in enumerate(quotas):
            members = np.flatnonzero(classes == label)
            part[members[taken[label] : taken[label] + quota]] = number
        taken += quotas
    return [torch.from_numpy(order[part == number]) for number in range(len(sizes) + 1)]


def largest_remainders(counts: np.ndarray, size: int) -> np.ndarray:
    """Return how many rows of each class [C] make up `size` rows in the proportions of `counts` [C]."""
    exact = counts * (size / counts.sum())
    quotas = np.floor(exact).astype(np.int64)
    nearest_up = np.argsort(quotas - exact, kind="stable")  # the largest remainder first, ties by class
    quotas[nearest_up[: size - quotas.sum()]] += 1
    return quotas


def hold_out(rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Divide official training rows into training rows and a stratified tenth for validation (one row at least)."""
    rest, held = stratified(rows.labels, [max(1, round(len(rows.labels) / 10))], seed)
    return rows.take(rest), rows.take(held)
