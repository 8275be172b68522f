"""The tokenizer of a dataset: trained on its training rows, or that of a pretrained model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.reading import TableFile
from mtl_cli.texts.cache import CACHE_FORMAT, cached_text, content_name, digest
from mtl_cli.texts.columns import CACHED_BYTES, text_batches
from mtl_cli.texts.tokenizer import Specials, TextTokenizer, TokenizerOptions, pretrained_tokenizer, train_tokenizer

SPECIAL_PIECES = 3


def fit_tokenizer(
    options: TokenizerOptions, file: TableFile, columns: Sequence[str], rows: np.ndarray, folder: Path
) -> TextTokenizer:
    """Return the tokenizer of the training `rows` [N] of a file, from the cache in `folder` if it is there.

    Raises:
        UserError: the training rows hold no text.
    """
    if options.tokenizer == "hf":
        assert options.tokenizer_path is not None, "options were checked"
        return pretrained_tokenizer(options.tokenizer_path)

    def make() -> str:
        return train_tokenizer(options, training_texts(file, columns, rows)).definition

    small = file.path.stat().st_size < CACHED_BYTES
    content = "" if small else content_name(file)
    name = digest(content, asdict(options), list(columns), rows, CACHE_FORMAT)
    definition = cached_text(None if small else folder, f"tokenizer-{name}", make)
    return checked_vocabulary(TextTokenizer(options.tokenizer, definition, None, Specials()), str(file.path))


def fit_word_tokenizer(options: TokenizerOptions, texts: Iterable[str], where: str) -> TextTokenizer:
    """Return the tokenizer of training sentences, whose words are joined by spaces.

    Raises:
        UserError: they hold no word.
    """
    if options.tokenizer == "hf":
        assert options.tokenizer_path is not None, "options were checked"
        return pretrained_tokenizer(options.tokenizer_path)
    return checked_vocabulary(train_tokenizer(options, texts), where)


def training_texts(file: TableFile, columns: Sequence[str], rows: np.ndarray) -> Iterator[str]:
    """Yield the texts of some rows of a file."""
    first = 0
    for texts in text_batches(file, columns):
        stop = first + len(texts[0])
        here = rows[(rows >= first) & (rows < stop)] - first
        for column in texts:
            yield from (column[row] for row in here.tolist())
        first = stop


def checked_vocabulary(tokenizer: TextTokenizer, where: str) -> TextTokenizer:
    """Return the tokenizer.

    Raises:
        UserError: it learnt no piece.
    """
    if tokenizer.size <= SPECIAL_PIECES:
        raise UserError(
            f"{where}: the tokenizer found nothing to learn in the training rows: all are empty, or rarer than "
            "min_count. Name another column of text, or set min_count=1."
        )
    return tokenizer
