"""Files of one word a line told from tables, and names for columns that have none, by what they hold."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mtl_cli.init.sniff import sniff_encoding
from mtl_cli.texts.conll import DOCUMENT, SUFFIXES, ConllFile, ConllOptions, first_line, read_lines
from mtl_cli.texts.span_labels import iobes

MISSING = "_"
MAX_LABELS = 200
"""Different values up to which a column may be one of labels."""
FORMATS = ("conll", "conllu")
ENDINGS = (*SUFFIXES, ".conll", ".conll02", ".conll03", ".iob", ".iob2", ".bio", ".bioes", ".iobes")
PERHAPS = (".tsv", ".tab", ".txt")
LOOKED_AT = 2_000
CHUNKS = {"NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"}


def holds_words(path: Path, format: str, encoding: str | None) -> bool:
    """True for a file of one word a line: by its format, by its name, or where that may be one, by its first lines."""
    if format != "auto":
        return format in FORMATS
    suffix = path.suffix.lower()
    if suffix in ENDINGS:
        return True
    return suffix in PERHAPS and looks_like_words(path, encoding or sniff_encoding(path))


def looks_like_words(path: Path, encoding: str) -> bool:
    """True where blank lines part blocks of several lines, and all lines have the same number of cells, two or more."""
    blocks, size, widths = [0], 0, set()
    for _, line in itertools.islice(read_lines(path, encoding), LOOKED_AT):
        if not line.strip():
            blocks.append(0)
        elif not line.startswith(("#", DOCUMENT)):
            blocks[-1] += 1
            size += 1
            widths.add(len(line.split("\t") if "\t" in line else line.split()))
    sentences = [block for block in blocks if block]
    return len(sentences) > 1 and size >= 2 * len(sentences) and len(widths) == 1 and widths.pop() > 1


def with_names(path: Path, options: ConllOptions) -> ConllOptions:
    """Return the options with names for the columns of a file that names none.

    Raises:
        UserError: it has no word, or lines of other numbers of cells.
    """
    if options.columns is not None or options.format_of(path) == "conllu":
        return options
    told, first = first_line(path, options.encoding)
    if told:
        return options
    width = len(first.split("\t") if "\t" in first else first.split())
    unnamed = ConllFile(path, replace(options, columns=tuple(f"column_{n + 1}" for n in range(width)), word=None))
    words = itertools.islice((cells for each in unnamed.sentences() for cells in each.cells), LOOKED_AT)
    names: list[str] = []
    for number, cells in enumerate(zip(*words, strict=True), start=1):
        names.append(guessed_name(cells, names) or f"column_{number}")
    word = options.word or ("word" if "word" in names[1:] else None)
    return replace(options, columns=tuple(names), word=word)


def guessed_name(cells: Sequence[str], taken: Sequence[str]) -> str:
    """Return a name for a column by its cells; empty where they say nothing or the name is taken."""
    values = list(dict.fromkeys(cells))
    marked = iobes([value for value in values if value not in (MISSING, "-X-")])
    kinds = {label.partition("-")[2] for label in marked or () if label != "O"}
    name = ""
    if all(re.fullmatch(r"\d+", value) for value in values) and "word" not in taken:
        name = "id"
    elif "word" not in taken:
        name = "word"
    elif marked is not None:
        name = "chunk" if kinds & CHUNKS else "ner"
    elif len(values) <= MAX_LABELS:
        name = "pos"
    return "" if name in taken else name
