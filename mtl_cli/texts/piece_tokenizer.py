"""Cuts texts into pieces from which they can be put together again: what a decoder writes.

White space is one space each, so that a text is one line. A word's first piece begins with `SPACE`; of characters each
is a piece, the space too. A character that no piece holds is written as the number of pieces plus its code point, so
that no text is lost: a reference that a model cannot write stays what it is.
"""

import itertools
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mtl_cli.texts.ragged import Ragged

if TYPE_CHECKING:
    from mtl_cli.texts.tokenizers_library import Tokenizer, pre_tokenizers

KINDS = ("bpe", "words", "characters")
SPACE = "▁"
SPECIALS = ("[PAD]", "[UNK]", "[END]")
PAD, UNKNOWN, END = range(3)
"""Numbers of the special pieces: what fills rows up, a character that was never seen, and the end of a text."""


@dataclass(frozen=True)
class PieceTokenizer:
    """Cuts texts into numbered pieces; `pieces` are their texts, the special ones first.

    Args:
        kind: bpe, words or characters.
        pieces: the text of each piece.
        merges: the pairs that bpe joins, in order.
        lowercase: whether capitals become small letters.
    """

    kind: str
    pieces: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()
    lowercase: bool = False

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.pieces)

    def texts(self, texts: Sequence[str]) -> Ragged:
        """Return the pieces of texts, each with `END` at its end."""
        rows = [units(one_line(text, self.lowercase), self.kind) for text in texts]
        known = self._cut(dict.fromkeys(itertools.chain.from_iterable(rows)))
        return Ragged.of([[*itertools.chain.from_iterable(known[unit] for unit in row), END] for row in rows])

    def _cut(self, new: Iterable[str]) -> dict[str, list[int]]:
        """Return the pieces of each unit."""
        distinct = list(new)
        if self.kind != "bpe":
            number = {piece: index for index, piece in enumerate(self.pieces) if index > END}
            return {each: [number[each]] if each in number else self._spelt(each) for each in distinct}
        found = byte_pairs(self.pieces, self.merges).encode_batch_fast(distinct) if distinct else []
        cut = {}
        for text, each in zip(distinct, found, strict=True):
            cut[text] = each.ids if UNKNOWN not in each.ids else self._with_unknown(text)
        return cut

    def _with_unknown(self, text: str) -> list[int]:
        """Return the pieces of a text with the code points of the characters that no piece holds."""
        letters = {piece for piece in self.pieces if len(piece) == 1}
        found: list[int] = []
        for known, run in itertools.groupby(text, letters.__contains__):
            part = "".join(run)
            found += self._cut([part])[part] if known else self._spelt(part)
        return found

    def _spelt(self, text: str) -> list[int]:
        return [len(self.pieces) + ord(letter) for letter in text]

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        merges = [list(pair) for pair in self.merges]
        return {"kind": self.kind, "pieces": list(self.pieces), "merges": merges, "lowercase": self.lowercase}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "PieceTokenizer":
        """Return the tokenizer of a checkpoint.

        Raises:
            ValueError: the state is not that of a tokenizer.
        """
        pieces, merges = state["pieces"], [tuple(pair) for pair in state["merges"]]
        if state["kind"] not in KINDS or type(state["lowercase"]) is not bool:
            raise ValueError(f"the kind of its pieces is {str(state['kind'])[:40]!r}")
        if not all(type(piece) is str for piece in pieces) or tuple(pieces[: len(SPECIALS)]) != SPECIALS:
            raise ValueError("its pieces are not texts, or lack the special ones")
        known = set(pieces)
        if len(known) < len(pieces) or not all(
            len(pair) == 2 and known.issuperset(pair) and "".join(pair) in known for pair in merges
        ):
            raise ValueError("its pieces come twice, or do not go together")
        return cls(state["kind"], tuple(pieces), tuple((one, other) for one, other in merges), state["lowercase"])


def one_line(text: str, lowercase: bool = False) -> str:
    """Return a text in one line, with single spaces, in the composed form of Unicode."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    return text.lower() if lowercase else text


def units(text: str, kind: str) -> list[str]:
    """Return a text in the parts that are cut one by one: characters, or words."""
    return list(text) if kind == "characters" else [f"{SPACE}{word}" for word in text.split(" ") if word]


def text_of(pieces: Sequence[str], numbers: Iterable[int]) -> str:
    """Return the text of numbers of pieces, which ends before `END` or anything that is not a piece."""
    found = []
    for number in numbers:
        if number in (END, PAD) or number < 0:
            break
        found.append(pieces[number] if number < len(pieces) else chr(number - len(pieces)))
    return "".join(found).replace(SPACE, " ").strip()


def shown_piece(pieces: Sequence[str], number: int) -> str:
    """Return a piece as it is shown to people: without the mark of spaces."""
    return pieces[number].replace(SPACE, "").strip() or "_"


def train_pieces(kind: str, size: int, lowercase: bool, texts: Iterable[str]) -> PieceTokenizer:
    """Return a tokenizer of at most `size` pieces, all characters of bpe included, that is learnt from texts."""
    lines = [one_line(text, lowercase) for text in texts]
    if kind != "bpe":
        counted = Counter(unit for line in lines for unit in units(line, kind))
        frequent = sorted(counted, key=lambda unit: (-counted[unit], unit))[: max(0, size - len(SPECIALS))]
        return PieceTokenizer(kind, (*SPECIALS, *frequent), lowercase=lowercase)
    from mtl_cli.texts.tokenizers_library import Tokenizer, models, trainers  # which tables and characters do not need

    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(SPECIALS), show_progress=False)
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNKNOWN]))
    tokenizer.pre_tokenizer = apart()
    tokenizer.train_from_iterator((unit for line in lines for unit in units(line, kind)), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [(one, other) for one, other in model["merges"]]
    return PieceTokenizer(kind, tuple(pieces), tuple(merges), lowercase)


def byte_pairs(pieces: Sequence[str], merges: Sequence[tuple[str, str]]) -> "Tokenizer":
    """Return the tokenizer of the library with these pieces."""
    from mtl_cli.texts.tokenizers_library import Tokenizer, models

    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges), unk_token=SPECIALS[UNKNOWN]))
    tokenizer.pre_tokenizer = apart()
    return tokenizer


def apart() -> "pre_tokenizers.PreTokenizer":
    """Return what keeps digits and signs of punctuation apart from letters, and from each other."""
    from mtl_cli.texts.tokenizers_library import pre_tokenizers

    return pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("isolated")
    ])  # fmt: skip
