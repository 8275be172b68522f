"""Reads texts in the pieces that their targets are written in, so that a decoder can copy from them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtl_cli.texts.piece_tokenizer import END, PAD, UNKNOWN, PieceTokenizer, shown_piece, train_pieces
from mtl_cli.texts.ragged import Ragged, starts_of
from mtl_cli.texts.tokenizer import Specials, TextTokenizer, TokenizerOptions

SHARED = "pieces"
"""Kind of such a tokenizer in a checkpoint."""


class SourcePieces(TextTokenizer):
    """A `PieceTokenizer` in the place of a tokenizer of texts; a text ends with its end."""

    def __init__(self, inner: PieceTokenizer) -> None:
        self.inner, self.kind, self.path = inner, SHARED, None
        self.specials = Specials(PAD, UNKNOWN, (END,), (), (END,))

    def __reduce__(self) -> tuple[Any, ...]:
        return SourcePieces, (self.inner,)

    @property
    def size(self) -> int:
        """Number of pieces in the vocabulary."""
        return len(self.inner)

    def piece(self, number: int) -> str:
        """Return a piece as it is shown to people."""
        return shown_piece(self.inner.pieces, number)

    def texts(self, texts: Sequence[str]) -> Ragged:
        """Return the pieces of texts without their ends; a text without any is one unknown piece."""
        ended = self.inner.texts(texts)
        known = np.where(ended.values >= self.size, UNKNOWN, ended.values)
        empty = ended.lengths == 1
        known[ended.offsets[:-1][empty]] = UNKNOWN
        kept = np.ones(len(known), dtype=bool)
        kept[ended.offsets[1:][~empty] - 1] = False
        return Ragged(known[kept], starts_of(np.maximum(ended.lengths - 1, 1)))

    def words(self, rows: Sequence[Sequence[str]]) -> tuple[Ragged, Ragged]:
        """Labelled words have tokenizers of their own."""
        raise NotImplementedError("pieces of texts to be written are not those of labelled words")

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {"kind": SHARED, "inner": self.inner.state()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> TextTokenizer:
        """Return the tokenizer of a checkpoint, of whichever kind it is.

        Raises:
            ValueError: the state is not that of a tokenizer.
        """
        return cls(PieceTokenizer.of(state["inner"])) if state["kind"] == SHARED else TextTokenizer.of(state)


def train_shared(options: TokenizerOptions, texts: Iterable[str]) -> SourcePieces:
    """Return the one tokenizer of sources and targets, learnt from both."""
    return SourcePieces(train_pieces(options.tokenizer, options.vocab_size, options.lowercase, texts))
