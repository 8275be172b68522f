"""The tokenizer of a dataset: trained on its training rows, or that of a pretrained model."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.reading import TableFile
from mtl_cli.texts.cache import CACHE_FORMAT, cached_text, content_name, digest
from mtl_cli.texts.columns import CACHED_BYTES
from mtl_cli.texts.reading import text_batches
from mtl_cli.texts.tokenizer import EVERY_CHARACTER, Specials, TextTokenizer, TokenizerOptions
from mtl_cli.texts.tokenizers_library import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

UNKNOWN = "[UNK]"
SPECIALS = ("[PAD]", UNKNOWN, "[SEP]")
"""The first pieces of a trained tokenizer, as `Specials` numbers them."""
LONGEST_WORD = 200
"""Number of characters of the longest word that WordPiece cuts up; a longer word is unknown."""


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
    if tokenizer.size <= len(SPECIALS):
        raise UserError(
            f"{where}: the tokenizer found nothing to learn in the training rows: all are empty, or rarer than "
            "min_count. Name another column of text, or set min_count=1."
        )
    return tokenizer


def train_tokenizer(options: TokenizerOptions, texts: Iterable[str]) -> TextTokenizer:
    """Return a tokenizer whose vocabulary is learnt from the texts."""
    models_by_kind = {
        "bpe": lambda: models.BPE(unk_token=UNKNOWN),
        "wordpiece": lambda: models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD),
        "words": lambda: models.WordLevel(unk_token=UNKNOWN),
        "characters": lambda: models.WordLevel(unk_token=UNKNOWN),
    }
    trainers_by_kind = {"bpe": trainers.BpeTrainer, "wordpiece": trainers.WordPieceTrainer}
    tokenizer = Tokenizer(models_by_kind[options.tokenizer]())
    clean: Any = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=options.lowercase
    )
    if options.tokenizer == "characters":  # each character is a piece of its own, spaces too
        clean = normalizers.Sequence([normalizers.Lowercase()] if options.lowercase else [])
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(EVERY_CHARACTER), "isolated")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), clean])
    first = list(SPECIALS)
    if options.tokenizer == "wordpiece":  # its trainer breaks ties by the order of inner letters in a hash table
        texts = list(texts)
        first += inner_letters(tokenizer, texts)
    trainer = trainers_by_kind.get(options.tokenizer, trainers.WordLevelTrainer)(
        vocab_size=options.vocab_size,
        min_frequency=options.min_count,
        special_tokens=first,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return TextTokenizer(options.tokenizer, plain_definition(tokenizer), None, Specials())


def inner_letters(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """Return the pieces of single letters that stand inside a word of the texts, in order."""
    found: set[str] = set()
    for word in {word for text in texts for word in text.split()}:
        normal = tokenizer.normalizer.normalize_str(word)
        for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal):
            found.update(part[1:])
    return [f"##{letter}" for letter in sorted(found)]


def plain_definition(tokenizer: Tokenizer) -> str:
    """Return the definition of a tokenizer that never takes "[UNK]" in a text for the piece of that name."""
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = []
    return json.dumps(definition, ensure_ascii=False)


def pretrained_tokenizer(path: str) -> TextTokenizer:
    """Return the tokenizer of a Hugging Face model in a folder or on the hub.

    Raises:
        UserError: transformers is not installed, or there is no such model.
    """
    from mtl_cli.texts.pretrained import load_tokenizer

    loaded = load_tokenizer(path)
    backend = getattr(loaded, "backend_tokenizer", None)
    if backend is None:
        raise UserError(f"{path} has no fast tokenizer (tokenizer.json). Use another tokenizer_path.")
    definition = backend.to_str()
    unlimited = Tokenizer.from_str(definition)
    unlimited.no_truncation()
    unlimited.no_padding()
    inner, whole = unlimited.encode("a", add_special_tokens=False).ids, unlimited.encode("a").ids
    at = next(index for index in range(len(whole)) if whole[index : index + len(inner)] == inner)
    unknown = loaded.unk_token_id if loaded.unk_token_id is not None else inner[0]
    separator = () if loaded.sep_token_id is None else (loaded.sep_token_id,)
    pad = loaded.pad_token_id if loaded.pad_token_id is not None else 0
    specials = Specials(pad, unknown, separator, tuple(whole[:at]), tuple(whole[at + len(inner) :]))
    return TextTokenizer("hf", definition, path, specials)
