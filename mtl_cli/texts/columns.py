"""Columns of text in files of rows, and their pieces."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import is_text, plain
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import TableFile
from mtl_cli.texts.cache import CACHE_FORMAT, cached_rows, content_name, digest
from mtl_cli.texts.encoding import text_rows
from mtl_cli.texts.ragged import Ragged, stacked
from mtl_cli.texts.tokenizer import TextTokenizer

logger = logging.getLogger("mtl_cli")
CACHED_BYTES = 1 << 20
"""Files from this size on are tokenised once; smaller ones quicker than they are looked up."""


def row_texts(rows: "pa.RecordBatch | pa.Table", columns: Sequence[str], path: Path, first_row: int) -> list[list[str]]:
    """Return the texts of each column; a missing one is empty.

    Raises:
        UserError: a column holds lists or bytes.
    """
    found = []
    for name in columns:
        array = plain(rows.column(name))
        if not is_text(array.type):
            if pa.types.is_nested(array.type) or pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
                place = Place(path, name, first_row)
                raise place.error(0, f"cells of type {array.type} are no text", "Name another column: text=NAME.")
            array = array.cast(pa.string())
        found.append(["" if text is None else text for text in array.to_pylist()])
    return found


def text_batches(file: TableFile, columns: Sequence[str]) -> Iterator[list[list[str]]]:
    """Yield the texts of each column, in batches; a text such as "null" is no missing value."""
    whole = type(file)(file.path, replace(file.options, missing_values=()))
    for first, batch in whole.batches(columns):
        yield row_texts(batch, columns, file.path, first)


def file_rows(
    file: TableFile, columns: Sequence[str], tokenizer: TextTokenizer, max_length: int, folder: Path
) -> Ragged:
    """Return the pieces of every row of a file, from the cache in `folder` where it was tokenised before."""

    def make() -> Ragged:
        parts, cut, empty = [], 0, 0
        for texts in text_batches(file, columns):
            rows, longer = text_rows(tokenizer, texts, max_length)
            parts.append(rows)
            cut += longer
            empty += sum(not any(map(str.strip, row)) for row in zip(*texts, strict=True))
        if cut:
            logger.warning(
                "%s: %d texts are longer than max_length=%d pieces; their ends are cut off.", file.path, cut, max_length
            )
        if empty:
            logger.warning("%s: %d texts are empty; each is one unknown piece.", file.path, empty)
        return stacked(parts)

    if file.path.stat().st_size < CACHED_BYTES:
        return make()
    how = {"format": CACHE_FORMAT, "columns": list(columns), "max_length": max_length, "tokenizer": tokenizer.state()}
    return cached_rows(folder, f"rows-{digest(content_name(file), how)}", make)
