"""Which rows a draw holds."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS
from mtl_cli.seeding import generator

POOL = 64
"""Batches whose rows are sorted by length together: on lengths of 5 to 60, 2 % of the places are padding."""


class Order:
    """Which rows each draw of a dataset holds: a pure function of (seed, dataset's name, draw).

    A pass over the N rows is a seeded permutation cut into ⌈N / batch_size⌉ batches whose sizes differ by one at most,
    so that no batch is tiny. With `lengths`, rows of like lengths are batched: the permutation is cut into pools of
    `POOL` batches, each sorted by length, and the batches come in seeded order. A pass still holds every row once.

    Args:
        size: N.
        batch_size: rows of the largest batch.
        name: the dataset's name.
        seed: the run's seed.
        classes: the class [N] of each row, by which passes are balanced; None takes every row once a pass.
        lengths: the length [N] of each row, where rows have one.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        name: str,
        seed: int,
        classes: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> None:
        self.size, self.batch_size, self.name, self.seed = size, batch_size, name, seed
        self.batches = max(1, -(-size // batch_size))
        self._classes, self.lengths = classes, lengths
        self._pass, self._permutation = -1, torch.empty(0, dtype=torch.int64)
        self._slots: Sequence[int] = range(self.batches)

    def rows(self, draw: int) -> Tensor:
        """Return the row indices [B] of draw number `draw` (from 0)."""
        number, k = divmod(draw, self.batches)
        if number != self._pass:
            stream = generator(self.seed, "order", self.name, number)
            chosen = None if self._classes is None else balanced(self._classes, number, self.seed, self.name)
            permutation = torch.randperm(self.size, generator=stream)
            self._pass, self._permutation = number, permutation if chosen is None else chosen[permutation]
            if self.lengths is not None:
                self._permutation = sorted_in_pools(self._permutation, self.lengths, self.batches)
                self._slots = torch.randperm(self.batches, generator=stream).tolist()
        k = self._slots[k]
        return self._permutation[self.size * k // self.batches : self.size * (k + 1) // self.batches]


def sorted_in_pools(rows: Tensor, lengths: Tensor, batches: int) -> Tensor:
    """Return the rows [N] with each pool of `POOL` batches in a row sorted by length; `lengths` [N] are by row."""
    parts = []
    for first in range(0, batches, POOL):
        pool = rows[len(rows) * first // batches : len(rows) * min(first + POOL, batches) // batches]
        parts.append(pool[torch.argsort(lengths[pool], stable=True)])
    return torch.cat(parts)


def balanced(classes: Tensor, number: int, seed: int, name: str) -> Tensor:
    """Return the rows [N] of a pass in which every class [N] occurs equally often, to within one row.

    Each class is gone through in seeded permutations, one after another, from pass to pass: no row comes twice before
    every row of its class has come once. Rows without a class (−100) come once a pass.
    """
    missing = (classes == MISSING_CLASS).nonzero()[:, 0]
    present = torch.unique(classes[classes != MISSING_CLASS])
    total = len(classes) - len(missing)
    parts = [missing]
    for k, each in enumerate(present.tolist()):
        rows = (classes == each).nonzero()[:, 0]
        share = total * (k + 1) // len(present) - total * k // len(present)
        if share == 0:
            continue
        start, stop = number * share, (number + 1) * share
        rounds = range(start // len(rows), -(-stop // len(rows)))
        streams = [generator(seed, "balanced", name, each, round_) for round_ in rounds]
        drawn = torch.cat([rows[torch.randperm(len(rows), generator=stream)] for stream in streams])
        offset = start - rounds.start * len(rows)
        parts.append(drawn[offset : offset + share])
    return torch.cat(parts)
