"""The most likely texts of frames, by the rule of CTC: repeated pieces are one, and blanks stand for nothing."""

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

BLANK = 0
PRUNED = 1e-4
"""Probability below which a piece is not looked at in a frame."""
Found = tuple[list[list[int]], list[float]]
"""The pieces of each row, and the logarithm of their probability."""


def best_path(logs: Tensor, lengths: Sequence[int]) -> Found:
    """Return the pieces of the most likely path of each row, and its log-probability; logs [B, L, V].

    Source: Graves, Fernández, Gomez, Schmidhuber, "Connectionist temporal classification", ICML 2006, section 3.2.
    """
    best = logs.max(dim=-1)
    pieces, scores = [], []
    for path, values, length in zip(best.indices.tolist(), best.values, lengths, strict=True):
        pieces.append(collapsed(path[:length]))
        scores.append(float(values[:length].sum()))
    return pieces, scores


def collapsed(path: Sequence[int]) -> list[int]:
    """Return the pieces of a path: repeats joined, blanks left out."""
    found, before = [], BLANK
    for piece in path:
        if piece not in (before, BLANK):
            found.append(piece)
        before = piece
    return found


def prefix_search(logs: Tensor, lengths: Sequence[int], beam: int) -> Found:
    """Return the most likely pieces of each row, summed over paths, among `beam` beginnings; logs [B, L, V].

    Source: Hannun, Maas, Jurafsky, Ng, "First-pass large vocabulary continuous speech recognition using bi-directional
    recurrent DNNs", arXiv 1408.2873, 2014, algorithm 1, without a language model.
    """
    rows = [search(row[:length], beam) for row, length in zip(logs, lengths, strict=True)]
    return [pieces for pieces, _ in rows], [score for _, score in rows]


def search(logs: Tensor, beam: int) -> tuple[list[int], float]:
    """Return the most likely pieces of one row, and the log-probability of all paths to them; logs [L, V]."""
    nothing = (-math.inf, -math.inf)
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}  # ends in a blank, in a piece
    for frame in logs:
        likely = (frame > math.log(PRUNED)).nonzero().flatten().tolist()
        values = {piece: float(frame[piece]) for piece in likely}
        following: dict[tuple[int, ...], tuple[float, float]] = defaultdict(lambda: nothing)
        for prefix, (blank, piece_end) in beams.items():
            both = add(blank, piece_end)
            for piece, value in values.items():
                own = following[prefix]
                if piece == BLANK:
                    following[prefix] = (add(own[0], both + value), own[1])
                    continue
                longer = (*prefix, piece)
                if prefix and piece == prefix[-1]:  # without a blank between them, it is the same piece
                    following[prefix] = (own[0], add(own[1], piece_end + value))
                    new = following[longer]
                    following[longer] = (new[0], add(new[1], blank + value))
                else:
                    new = following[longer]
                    following[longer] = (new[0], add(new[1], both + value))
        beams = dict(sorted(following.items(), key=lambda each: (-add(*each[1]), each[0]))[:beam])
    best = max(beams, key=lambda prefix: add(*beams[prefix]))
    return list(best), add(*beams[best])


def add(one: float, other: float) -> float:
    """Return log(eᵃ + eᵇ)."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def padded_pieces(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Return the pieces of rows int64 [B, N], filled up with blanks."""
    found = torch.zeros(len(rows), max([1, *map(len, rows)]), dtype=torch.int64)
    for place, row in zip(found, rows, strict=True):
        place[: len(row)] = torch.tensor(row, dtype=torch.int64)
    return found.to(device)
