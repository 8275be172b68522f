"""Texts that were written against their references: how many are the same, and how many of their pieces."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import set_entries
from mtl_cli.metrics.base import EntryMean
from mtl_cli.texts.piece_tokenizer import text_of


class ExactMatch(EntryMean):
    """The share of texts that are the same as their references.

    Args:
        pieces: the text of each piece.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        super().__init__()
        self.pieces = tuple(pieces)

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in pieces [B, L] and those of references [B, L']."""
        pairs = zip(predictions.tolist(), target.tolist(), strict=True)
        same = [text_of(self.pieces, one) == text_of(self.pieces, other) for one, other in pairs]
        self.add(
            torch.tensor(same, device=target.device), torch.ones(len(same), dtype=torch.bool, device=target.device)
        )


class TokenAccuracy(EntryMean):
    """The share of the references' pieces that stand at their place in what is written; the end is one of them."""

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in pieces [B, L] and those of references [B, L']."""
        missing = target.shape[1] - predictions.shape[1]
        written = F.pad(predictions, (0, max(0, missing)))[:, : target.shape[1]]
        self.add(written == target, set_entries(target))
