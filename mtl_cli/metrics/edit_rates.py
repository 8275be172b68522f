"""Errors of transcripts: characters, or words, that must be changed, left out or put in."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric
from mtl_cli.texts.piece_tokenizer import text_of


class EditRate(Metric):
    """Edits over the units of the references, in float32; of pieces [B, L] and [B, L'].

    Args:
        pieces: the text of each piece.
    """

    edits: Tensor
    units: Tensor

    def __init__(self, pieces: Sequence[str]) -> None:
        super().__init__()
        self.pieces = tuple(pieces)
        for name in ("edits", "units"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in pieces [B, L] and those of references [B, L']."""
        for row, truth in zip(predictions.tolist(), target.tolist(), strict=True):
            written, wanted = (self.cut(text_of(self.pieces, each)) for each in (row, truth))
            self.edits += edit_distance(written, wanted)
            self.units += len(wanted)

    def compute(self) -> Tensor:
        """Return the rate."""
        return (self.edits.double() / self.units).float()

    @abstractmethod
    def cut(self, text: str) -> Sequence[str]:
        """Return the units of a text."""


class CharErrors(EditRate):
    """Edits of characters over the characters of the references."""

    def cut(self, text: str) -> Sequence[str]:
        """Return the characters."""
        return text


class WordErrors(EditRate):
    """Edits of words over the words of the references."""

    def cut(self, text: str) -> Sequence[str]:
        """Return the words."""
        return text.split()


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many units must be changed, left out or put in to make one sequence the other (Levenshtein 1966)."""
    before = list(range(len(other) + 1))
    for number, unit in enumerate(one, start=1):
        now = [number]
        for place, wanted in enumerate(other):
            now.append(min(before[place] + (unit != wanted), before[place + 1] + 1, now[place] + 1))
        before = now
    return before[-1]
