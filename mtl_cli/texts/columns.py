"""Pieces of the columns of text in files of rows."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mtl_cli.tables.reading import TableFile
from mtl_cli.texts.cache import CACHE_FORMAT, cached_rows, content_name, digest
from mtl_cli.texts.encoding import text_rows
from mtl_cli.texts.ragged import Ragged, stacked
from mtl_cli.texts.reading import text_batches
from mtl_cli.texts.tokenizer import TextTokenizer

logger = logging.getLogger("mtl_cli")
CACHED_BYTES = 1 << 20
"""Size from which a file's pieces are kept; smaller files are tokenised faster than they are looked up."""


def file_rows(
    file: TableFile, columns: Sequence[str], tokenizer: TextTokenizer, max_length: int, folder: Path
) -> Ragged:
    """Return the pieces of every row of a file, from the cache in `folder` if it was tokenised before."""

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
