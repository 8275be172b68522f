"""Errors of transcripts: characters, or words, that must be changed, left out or put in, by torchmetrics."""

from collections.abc import Sequence

from torch import Tensor
from torchmetrics.text import CharErrorRate, WordErrorRate

from mtl_cli.texts.piece_tokenizer import text_of


class CharErrors(CharErrorRate):
    """Edits of characters over the characters of the references; of pieces [B, L] and [B, L'].

    Args:
        pieces: the text of each piece.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        super().__init__()
        self.pieces = tuple(pieces)

    def update(self, predictions: Tensor, target: Tensor) -> None:  # type: ignore[override]  # texts are made here
        """Take in pieces [B, L] and those of references [B, L']."""
        super().update(texts_of(self.pieces, predictions), texts_of(self.pieces, target))


class WordErrors(WordErrorRate):
    """Edits of words over the words of the references; of pieces [B, L] and [B, L'].

    Args:
        pieces: the text of each piece.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        super().__init__()
        self.pieces = tuple(pieces)

    def update(self, predictions: Tensor, target: Tensor) -> None:  # type: ignore[override]  # texts are made here
        """Take in pieces [B, L] and those of references [B, L']."""
        super().update(texts_of(self.pieces, predictions), texts_of(self.pieces, target))


def texts_of(pieces: Sequence[str], numbers: Tensor) -> list[str]:
    """Return the texts of pieces [B, L]."""
    return [text_of(pieces, row) for row in numbers.tolist()]
