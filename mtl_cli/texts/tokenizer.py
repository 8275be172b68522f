"""Tokenizers turn texts and words into numbers of pieces; `mtl_cli.texts.training` makes them.

Encoding takes three steps, in which the library cuts each distinct word only once (`TextTokenizer.words`):

1. A text is cut at white space. Each distinct word gets a number, which it keeps as long as the tokenizer lives.
2. The words that are new are cut into pieces by the library, all at once.
3. The pieces of every row are gathered by the numbers of its words, and the first piece of each word is marked.

A pretrained tokenizer encodes whole texts instead, because it may treat spaces differently.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_cli.config.annotations import typed
from mtl_cli.config.options import Options, option
from mtl_cli.errors import UserError
from mtl_cli.texts.ragged import Ragged, places, starts_of
from mtl_cli.texts.tokenizers_library import Tokenizer

KINDS = ("bpe", "wordpiece", "words", "characters", "hf")
MAX_LENGTH = 1 << 20
"""Number of pieces of the longest text that the model may see."""
EVERY_CHARACTER = r"[\s\S]"


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions(Options):
    """How texts are cut into pieces."""

    tokenizer: str = option(example="bpe", choices=KINDS)
    """bpe, wordpiece, words or characters, which are trained; or hf, the tokenizer of a pretrained model."""
    tokenizer_path: str | None
    """Folder or hub name of that model."""
    vocab_size: int = option(example=8000, low=4)
    """Largest number of pieces of a trained tokenizer."""
    min_count: int = option(example=1, low=1)
    """How often a piece must occur in the training texts."""
    lowercase: bool
    """Whether capitals become small letters."""
    max_length: int = option(example=512, low=4, below=MAX_LENGTH + 1)
    """Most pieces of a row. The end of a longer text is cut off, and the log says for how many texts. A longer sentence
    becomes several rows."""

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        problems = super().problems()
        path, trained = self.tokenizer_path, self.tokenizer
        if trained == "hf" and not path:
            problems.append("tokenizer=hf needs the model whose tokenizer it is: tokenizer_path=FOLDER or a hub name.")
        if trained != "hf" and path:
            problems.append(f"tokenizer_path is {path}, but tokenizer={trained} is trained. Use tokenizer=hf.")
        return problems


@dataclass(frozen=True)
class Specials:
    """The numbers of the pieces with a special meaning; `prefix` and `suffix` enclose every row."""

    pad: int = 0
    unknown: int = 1
    separator: tuple[int, ...] = (2,)
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()


class TextTokenizer:
    """Cuts texts and words into numbered pieces. `definition` is the JSON of the `tokenizers` library."""

    def __init__(self, kind: str, definition: str, path: str | None, specials: Specials) -> None:
        self.kind, self.definition, self.path, self.specials = kind, definition, path, specials
        with _no_panic():
            self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._known: dict[str, int] = {}
        self._pieces: list[list[int]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return TextTokenizer, (self.kind, self.definition, self.path, self.specials)

    @property
    def size(self) -> int:
        """Number of pieces in the vocabulary."""
        return self._tokenizer.get_vocab_size()

    def piece(self, number: int) -> str:
        """Return a piece as it is shown to people: without the marks of spaces and of pieces inside a word."""
        piece = str(self._tokenizer.id_to_token(number) or "?")
        return piece.removeprefix("##").replace("\u2581", "").replace("\u0120", "").strip() or "_"

    def texts(self, texts: Sequence[str]) -> Ragged:
        """Return the pieces of texts, without prefix and suffix; a text without any is one unknown piece.

        A text is cut at white space and each distinct word is looked up once. The pieces are the same as those of the
        whole text, and are found ten to twenty times as fast. A pretrained tokenizer sees whole texts.
        """
        if self.kind == "hf":
            with _no_panic():
                found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
            return Ragged.of([each.ids or [self.specials.unknown] for each in found])
        rows = [text.split() or [""] for text in texts]
        if self.kind == "characters":
            rows = [[part for word in row for part in (" ", word)][1:] for row in rows]
        return self.words(rows)[0]

    def words(self, rows: Sequence[Sequence[str]]) -> tuple[Ragged, Ragged]:
        """Return the pieces of rows of words, and for each piece 1 where it is the first of its word, else 0.

        Each word is cut by itself. A word without pieces, such as a control character, is one unknown piece.
        """
        numbers = Ragged.of([[self._number(word) for word in row] for row in rows])
        self._cut_new()
        pieces = Ragged.of(self._pieces)
        lengths = pieces.lengths[numbers.values]
        values = pieces.values[places(pieces.offsets[:-1][numbers.values], lengths)]
        starts = starts_of(lengths)
        first = np.zeros(len(values), dtype=np.int32)
        first[starts[:-1]] = 1
        offsets = starts[numbers.offsets]
        return Ragged(values, offsets), Ragged(first, offsets)

    def _number(self, word: str) -> int:
        return self._known.setdefault(word, len(self._known))

    def _cut_new(self) -> None:
        """Cut the words that were never seen before."""
        new = list(self._known)[len(self._pieces) :]
        spaced = [f" {word}" for word in new] if self._marks_spaces else new
        with _no_panic():
            found = self._tokenizer.encode_batch_fast(spaced, add_special_tokens=False)
        self._pieces += [each.ids or [self.specials.unknown] for each in found]

    @property
    def _marks_spaces(self) -> bool:
        """True where a word after a space has other pieces: for byte-level tokenizers, such as that of RoBERTa."""
        return self.kind == "hf" and '"ByteLevel"' in self.definition

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        specials = {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(self.specials).items()
        }
        return {"kind": self.kind, "definition": self.definition, "path": self.path, "specials": specials}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "TextTokenizer":
        """Return the tokenizer of a checkpoint.

        Raises:
            ValueError: the state is not that of a tokenizer.
        """
        specials = typed(Specials, state["specials"])
        if not all(isinstance(state[key], str) for key in ("kind", "definition")):
            raise ValueError("the tokenizer's kind or definition is not text")
        if state["kind"] != "hf":
            check_trained(json.loads(state["definition"]))
        found = cls(state["kind"], state["definition"], state["path"], specials)
        if found.kind != "hf" and max(found._tokenizer.get_vocab().values(), default=0) >= found.size:
            raise ValueError(f"the tokenizer numbers its {found.size} pieces beyond that")
        numbers = (specials.pad, specials.unknown, *specials.separator, *specials.prefix, *specials.suffix)
        if not all(0 <= number < found.size for number in numbers):
            raise ValueError(f"the tokenizer has {found.size} pieces and none of the number {max(numbers)}")
        return found


@contextlib.contextmanager
def _no_panic() -> Iterator[None]:
    """Turn a panic of the library, which `except Exception` does not catch, into a UserError.

    Raises:
        UserError: the library gave up, as it does on some definitions that it did not write.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise UserError(f"The tokenizer cannot be used: {str(error)[:200]}. Use another tokenizer.") from error


def check_trained(definition: Mapping[str, Any]) -> None:
    """Refuse the definition of a trained tokenizer that `mtl_cli.texts.training` cannot have made.

    The library would accept others, such as replacements that make a text longer without end, or expressions that never
    end.

    Raises:
        ValueError: this program cannot have made it.
    """
    parts = {key: definition.get(key) for key in ("normalizer", "pre_tokenizer", "model")}
    kinds = set(_types(parts["normalizer"])) | set(_types(parts["pre_tokenizer"]))
    foreign = kinds - {"Sequence", "NFC", "BertNormalizer", "Lowercase", "BertPreTokenizer", "Split"}
    patterns = [part for part in _mappings(parts["pre_tokenizer"]) if part.get("type") == "Split"]
    if foreign or definition.get("post_processor") or definition.get("added_tokens"):
        raise ValueError(f"the definition of the tokenizer is not of this program: {sorted(map(str, foreign))[:3]}")
    if any(part.get("pattern") != {"Regex": EVERY_CHARACTER} for part in patterns):
        raise ValueError("the definition of the tokenizer has a pattern that is not of this program")
    if not isinstance(parts["model"], dict) or parts["model"].get("type") not in ("BPE", "WordPiece", "WordLevel"):
        raise ValueError("the definition of the tokenizer has a model that is not of this program")


def _mappings(value: object) -> Iterator[dict[str, Any]]:
    """Yield every mapping in plain data."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(part)


def _types(value: object) -> Iterator[Any]:
    """Yield the type of every mapping in plain data that has one."""
    for part in _mappings(value):
        if "type" in part:
            yield part["type"]
