"""A tokenizer, a length and a backbone that fit texts, each with the reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_cli.init.proposals import TRAIN_SHARE, Choice, length, overrides, steady, told, train_rows
from mtl_cli.init.scripts import SPACELESS, spaceless_share
from mtl_cli.init.yaml_files import comment
from mtl_cli.texts.encoding import sentence_rows, text_rows
from mtl_cli.texts.tokenizer import TextTokenizer, TokenizerOptions
from mtl_cli.texts.training import train_tokenizer

SMALL, LARGE = 2_000, 50_000
"""Texts up to which a vocabulary is small, and from which on a transformer is worth its time."""
LONG, LONGEST = 80, 512
"""Pieces of the middle text from which on a recurrent network is slow, and that no text is longer than."""
SPACELESS_SHARE = 0.3
COVERED = 0.99
WORD = 6
"""Letters of a usual word; the middle of texts in a notation is longer."""
BATCH, SMALL_BATCH = 128, 32
MAX_EPOCHS, STEPS = 60, 1_200


@dataclass(frozen=True)
class Advice:
    """What is written into the dataset by option, and the backbone and how it is trained for the command."""

    options: Mapping[str, Choice]
    backbone: Choice
    training: Mapping[str, Choice]

    def option_lines(self) -> list[str]:
        """Return the lines of YAML."""
        return [f"{name}: {choice.value}  {comment(choice.why)}" for name, choice in self.options.items()]

    def told(self) -> list[str]:
        """Return the choices for the printed report."""
        return told({**self.options, "backbone": self.backbone, **self.training})

    @property
    def overrides(self) -> list[str]:
        """Overrides of the command that trains."""
        return overrides({"backbone": self.backbone, **self.training})


def advise_texts(columns: Sequence[Sequence[str]], shares: Mapping[str, float], rows: int) -> Advice:
    """Return what fits whole texts of a file of `rows`, given the texts of its first rows by column."""
    few = rows < LARGE
    texts = [text for texts in columns for text in texts]
    notation = is_notation(texts)
    kind, vocabulary = choose_words(shares, rows) if few else choose_tokenizer(shares, rows)
    if notation:
        kind = Choice("characters", "no spaces part the texts, as in formulas (SMILES) and sequences")
        vocabulary = Choice("1000", "as many characters as there are, at most")
    tokenizer = trained(kind, vocabulary, not notation, texts)
    lengths = text_rows(tokenizer, columns, 1 << 30)[0].lengths
    middle, covered = (math.ceil(each) for each in np.quantile(lengths, [0.5, COVERED]))
    longest = min(LONGEST, rounded(covered))
    why = (
        f"pieces: half of the texts have up to {middle}, {COVERED:.0%} up to {covered}, the longest has {lengths.max()}"
    )
    if (cut := (lengths > longest).mean()) >= 0.001:
        why += f"; {cut:.1%} are cut"
    options = {"tokenizer": kind, "vocab_size": vocabulary, "max_length": Choice(str(longest), why)}
    if notation:
        options["lowercase"] = Choice("false", "c and C differ in such a notation")
    if not few:
        return Advice(options, choose_backbone(rows, middle), slower(rows))
    runs = {"backbone.longest": Choice("4", "characters that are seen together")} if kind.value == "characters" else {}
    pieces = "characters and runs of them" if kind.value == "characters" else "words and pairs of them"
    backbone = Choice("ngrams", f"{pieces}: {rows} texts are too few to learn more from")
    return Advice(options, backbone, {**runs, **steady(train_rows(rows))})


def is_notation(texts: Sequence[str]) -> bool:
    """Return True for texts of Latin signs that no spaces part, most of them longer than a word."""
    present = [text for text in texts if text]
    whole = sum(text.isascii() and not any(map(str.isspace, text)) for text in present)
    return whole >= COVERED * len(present) > 0 and float(np.median(list(map(len, present)))) > WORD


def advise_words(sentences: Sequence[Sequence[str]], shares: Mapping[str, float], rows: int) -> Advice:
    """Return what fits sentences of words; `rows` is how many the file has."""
    kind, vocabulary = choose_tokenizer(shares, rows)
    if kind.value == "characters":  # words are parted already
        kind = Choice("bpe", "words are parted already, and it cuts rare ones into pieces")
    tokenizer = trained(kind, vocabulary, False, [" ".join(words) for words in sentences])
    lengths = sentence_rows(tokenizer, sentences, 1 << 30).ids.lengths
    middle, most = math.ceil(np.median(lengths)), int(lengths.max())
    longest = min(LONGEST, rounded(most))
    why = f"pieces: half of the sentences have up to {middle}, the longest has {most}"
    if most > longest:
        why += "; a longer one is several rows"
    options = {"tokenizer": kind, "vocab_size": vocabulary, "max_length": Choice(str(longest), why)}
    backbone = Choice("gru", "every word is seen with those before and after it; learns from few sentences too")
    return Advice(options, backbone, slower(rows))


def choose_tokenizer(shares: Mapping[str, float], rows: int) -> tuple[Choice, Choice]:
    """Return the kind of tokenizer and its vocabulary, for scripts and a number of texts."""
    spaceless = spaceless_share(shares)
    if spaceless_share(shares, but="Han") >= SPACELESS_SHARE and rows < LARGE:
        names = " and ".join(script for script in shares if script in SPACELESS)
        why = f"{names}, written without spaces, {spaceless:.0%} of the letters: too few texts to learn words from"
        return Choice("characters", why), Choice("8000", "as many characters as there are, at most")
    size = 4000 if rows < SMALL else 8000 if rows < LARGE else 16000
    if spaceless >= SPACELESS_SHARE:
        size = max(size, 8000)
        why = f"{spaceless:.0%} of the letters are of scripts without spaces; each Chinese character is a piece"
    else:
        why = "words parted by spaces: frequent ones are a piece, rare ones several"
    return Choice("bpe", why), Choice(str(size), f"for {rows} texts: each piece should be seen often enough")


def choose_words(shares: Mapping[str, float], rows: int) -> tuple[Choice, Choice]:
    """Return the kind of tokenizer and its vocabulary for bags of n-grams: words, where spaces part them."""
    kind, vocabulary = choose_tokenizer(shares, rows)
    if spaceless_share(shares) >= SPACELESS_SHARE:
        return kind, vocabulary
    return Choice("words", "words parted by spaces, each whole"), Choice("30000", "the most frequent words")


def choose_backbone(rows: int, middle: int) -> Choice:
    """Return the backbone for many whole texts, by their number and middle length."""
    if middle > LONG:
        return Choice("text_cnn", f"long texts, {middle} pieces in the middle: the fastest")
    return Choice("transformer", f"{rows} texts are enough to learn attention from")


def slower(rows: int) -> dict[str, Choice]:
    """Return how networks that read in order are trained: small files get smaller batches and more epochs."""
    batch = SMALL_BATCH if rows < 2 * SMALL else BATCH
    epochs = max(3, min(MAX_EPOCHS, math.ceil(STEPS / max(1.0, TRAIN_SHARE * rows / batch))))
    small = {} if batch == BATCH else {"data.batch_size": Choice(str(batch), "few rows need more steps a pass")}
    return {**small, **length(epochs)}


def trained(kind: Choice, vocabulary: Choice, lowercase: bool, texts: Sequence[str]) -> TextTokenizer:
    """Return the tokenizer that the dataset would have, trained on the first rows."""
    options = TokenizerOptions(
        tokenizer=kind.value,
        tokenizer_path=None,
        vocab_size=int(vocabulary.value),
        min_count=1,
        lowercase=lowercase,
        max_length=LONGEST,
    )
    return train_tokenizer(options, texts)


def rounded(length: int) -> int:
    """Return a length as a multiple of 16."""
    return max(16, math.ceil(length / 16) * 16)
