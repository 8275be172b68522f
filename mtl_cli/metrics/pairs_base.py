"""Pairs of a positive and a negative row whose scores are in the right order, counted block by block.

A block is some rows that are drawn together. With the pairs of each two blocks, the area under the ROC curve of any
choice of blocks is a product of small matrices. All numbers are whole, and exact up to 2⁵³.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mtl_cli.storage import on_disk

ROWS_AT_ONCE = 1 << 18
CELL, CELLS = 128, 256
"""Negatives in a cell, and cells that are counted at once: pairs within a cell are listed, others are a product."""
LISTED = 1 << 10
"""Positives whose pairs are listed at once."""
BLOCK = np.uint64(0xFFFFFFFF)
"""The half of a key that holds the block."""


def chunks(rows: int) -> Iterator[slice]:
    """Yield where so many rows are taken in, some at a time."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))


def sorted_scores(scores: Tensor, labels: Tensor, label: int) -> Tensor:
    """Return the scores [N] of the rows that have a label, in order."""
    parts = (scores[own][labels[own] == label] for own in chunks(len(scores)))
    return _sorted(parts, _count(labels, label), scores.dtype)


def sorted_keys(scores: Tensor, labels: Tensor, block: Tensor, label: int) -> np.ndarray:
    """Return a number uint64 for each row that has a label, in order: its float32 score, and then its block."""
    parts = (_keys(scores[own], block[own], labels[own] == label) for own in chunks(len(scores)))
    return _sorted(parts, _count(labels, label), torch.int64).numpy().view(np.uint64)


def _count(labels: Tensor, label: int) -> int:
    return sum(int((labels[own] == label).sum()) for own in chunks(len(labels)))


def _keys(scores: Tensor, block: Tensor, keep: Tensor) -> Tensor:
    """Return keys whose order is that of the scores: the bits of a negative float are turned round."""
    bits = (scores[keep].numpy() + np.float32(0)).view(np.uint32)  # −0 is 0
    bits = bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(1 << 31))
    keys = bits.astype(np.uint64) << np.uint64(32) | block[keep].numpy().astype(np.uint64)
    return torch.from_numpy(keys.view(np.int64))


def _sorted(parts: Iterator[Tensor], rows: int, dtype: torch.dtype) -> Tensor:
    """Return the numbers of parts in order; those of keys are taken as uint64."""
    found, start = on_disk.empty((rows,), dtype), 0
    for part in parts:
        found[start : start + len(part)] = part
        start += len(part)
    numbers = found.numpy()
    (numbers.view(np.uint64) if dtype == torch.int64 else numbers).sort()  # in place: no memory for a copy
    return found


def per_block(keys: np.ndarray, blocks: int) -> Tensor:
    """Return how many keys each block has, float64 [blocks]."""
    counts = sum(np.bincount((keys[own] & BLOCK).astype(np.int64), minlength=blocks) for own in chunks(len(keys)))
    return torch.from_numpy(np.zeros(blocks) + counts)


def right_pairs(negative: np.ndarray, positive: np.ndarray, blocks: int) -> np.ndarray:
    """Return twice the number of pairs in the right order, float64 [blocks, blocks], by the positive's block first.

    Equal scores count one half.

    Args:
        negative: sorted keys.
        positive: sorted keys.
    """
    found, before = np.zeros((blocks, blocks)), np.zeros(blocks)
    size = CELL * CELLS
    bounds = [0, 0]
    for start in range(0, len(negative) + 1, size):
        own = negative[start : start + size]
        block = (own & BLOCK).astype(np.int64)
        cells = np.zeros((len(own) // CELL + 1, blocks))
        np.add.at(cells, (np.arange(len(own)) // CELL, block), 1.0)
        block = np.pad(block, (0, CELL))  # the last cell has no more negatives than there are
        ends = [len(positive)] * 2
        if len(own) == size:  # the positives below the next negatives
            ends = [int(np.searchsorted(positive, own[-1] | BLOCK, "right")),
                    int(np.searchsorted(positive, own[-1] & ~BLOCK, "left"))]  # fmt: skip
        taken = np.zeros_like(cells)
        for side, (first, last) in enumerate(zip(bounds, ends, strict=True)):
            for at in range(first, last, LISTED):
                some = positive[at : min(last, at + LISTED)]
                place = np.searchsorted(own, some | BLOCK, "right") if side else np.searchsorted(own, some & ~BLOCK)
                _count_below(found, taken, place, (some & BLOCK).astype(np.int64), block)
        found += taken.T @ (cells.cumsum(axis=0) - cells + before)
        before += cells.sum(axis=0)
        bounds = ends
    return found


def _count_below(
    found: np.ndarray, taken: np.ndarray, place: np.ndarray, positive: np.ndarray, negative: np.ndarray
) -> None:
    """Count positives by cell and block in `taken`, and their pairs within the cell in `found`.

    Args:
        place: how many of the negatives are below each positive.
        positive: blocks of the positives.
        negative: blocks of the negatives.
    """
    cell, rest = np.divmod(place, CELL)
    np.add.at(taken, (cell, positive), 1.0)
    number = np.arange(CELL)
    inside = number < rest[:, None]
    pairs = (positive * len(found))[:, None] + negative[cell[:, None] * CELL + number]
    np.add.at(found.reshape(-1), pairs[inside], 1.0)
