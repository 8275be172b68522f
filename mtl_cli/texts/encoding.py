"""Turns texts and sentences of words into rows of pieces that a model takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtl_cli.texts.ragged import Ragged, side_by_side, starts_of
from mtl_cli.texts.tokenizer import TextTokenizer


def text_rows(tokenizer: TextTokenizer, columns: Sequence[Sequence[str]], max_length: int) -> tuple[Ragged, int]:
    """Return one row per text, of at most `max_length` pieces, and how many texts had more and lost their ends.

    `columns` are several texts [N] of each row; they are joined with the separator between them.
    """
    specials = tokenizer.specials
    parts: list[Ragged] = []
    for texts in columns:
        if parts:
            parts.append(Ragged.constant(specials.separator, len(texts)))
        parts.append(tokenizer.texts(texts))
    content = parts[0] if len(parts) == 1 else side_by_side(parts)
    room = room_of(tokenizer, max_length)
    cut = int((content.lengths > room).sum())
    return enclosed(content.cut(room), specials.prefix, specials.suffix), cut


@dataclass(frozen=True)
class SentenceRows:
    """Rows of pieces; `words` is 1 at the first piece of each word, else 0; `sentences` [N] are the rows' sentences.

    A sentence of more than `max_length` pieces becomes several rows, which hold all of its words in order.
    """

    ids: Ragged
    words: Ragged
    sentences: np.ndarray

    def labels(self, codes: np.ndarray) -> Ragged:
        """Return the labels of all words, int [words], as labels of pieces: −100 except at first pieces of words."""
        from mtl_cli.batch import MISSING_CLASS  # imports torch, which bundles are served without

        values = np.full(len(self.words.values), MISSING_CLASS, dtype=np.int32)
        values[self.words.values > 0] = codes
        return Ragged(values, self.words.offsets)


def sentence_rows(tokenizer: TextTokenizer, sentences: Sequence[Sequence[str]], max_length: int) -> SentenceRows:
    """Return sentences of words as rows; a word with more pieces than fit into a row loses its last pieces."""
    room = room_of(tokenizer, max_length)
    pieces, first = tokenizer.words(sentences)
    numbers = np.arange(len(sentences))
    if pieces.lengths.max(initial=0) > room:
        rows, sentence_of = [], []
        for number, words in enumerate(sentences):
            parts = split_words(words, first[number], room)
            rows += parts
            sentence_of += [number] * len(parts)
        pieces, first = tokenizer.words(rows)
        pieces, first, numbers = pieces.cut(room), first.cut(room), np.array(sentence_of)
    specials = tokenizer.specials
    zeros = [0] * len(specials.prefix), [0] * len(specials.suffix)
    return SentenceRows(enclosed(pieces, specials.prefix, specials.suffix), enclosed(first, *zeros), numbers)


def split_words(words: Sequence[str], first: np.ndarray, room: int) -> list[Sequence[str]]:
    """Return the words in parts of at most `room` pieces; `first` is 1 where a piece is the first of its word."""
    if len(first) <= room:
        return [words]
    starts = np.append(np.flatnonzero(first), len(first))
    parts, begin = [], 0
    for word in range(len(words)):
        if starts[word + 1] - starts[begin] > room and word > begin:
            parts.append(words[begin:word])
            begin = word
    return [*parts, words[begin:]]


def room_of(tokenizer: TextTokenizer, max_length: int) -> int:
    """Return how many pieces of a text fit into a row besides the pieces that enclose it."""
    return max(1, max_length - len(tokenizer.specials.prefix) - len(tokenizer.specials.suffix))


def enclosed(rows: Ragged, prefix: Sequence[int], suffix: Sequence[int]) -> Ragged:
    """Return the rows, each with the same values before and after it."""
    if not prefix and not suffix:
        return rows
    return side_by_side([Ragged.constant(prefix, len(rows)), rows, Ragged.constant(suffix, len(rows))])


MAX_SPECIALS = 64
"""Number of pieces that a row may have besides those of its text."""


def typical_length(lengths: np.ndarray) -> int:
    """Return the median of the lengths [N], at least 2."""
    return max(2, int(np.median(lengths))) if len(lengths) else 2


def checked_length(length: object, max_length: int) -> int:
    """Return the median length in a checkpoint.

    Raises:
        ValueError: it is not a length.
    """
    if type(length) is not int or not 2 <= length <= max_length + MAX_SPECIALS:
        raise ValueError(f"the median length is {str(length)[:40]!r}")
    return length


def example_inputs(length: int, tokenizer: TextTokenizer, words: bool = False) -> dict[str, np.ndarray]:
    """Return two rows of unknown pieces, of `length` and half of it; shapes depend on nothing else."""
    ids = Ragged(np.full(length + length // 2, tokenizer.specials.unknown), starts_of(np.array([length, length // 2])))
    values, mask = ids.padded(np.arange(2), tokenizer.specials.pad)
    return {"ids": values, "mask": mask, "words": mask} if words else {"ids": values, "mask": mask}
