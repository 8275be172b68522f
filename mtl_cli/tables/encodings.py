"""Files in UTF-8 that are read in another encoding, which garbles all letters beyond ASCII without an error."""

import codecs
from collections.abc import Iterable
from pathlib import Path

from mtl_cli.errors import UserError

ONE_BYTE = ("iso8859", "cp125", "cp437", "cp85", "koi8", "mac")


def refuse_utf8(path: Path, encoding: str, blocks: Iterable[bytes]) -> None:
    """Refuse a file, given as blocks of bytes, that is UTF-8 although it is read in an encoding of one byte per letter.

    No text in those happens to be UTF-8: each of its letters beyond ASCII would have to stand before a sign.

    Raises:
        UserError: it is UTF-8 beyond ASCII.
    """
    if not has_one_byte(encoding):
        return
    decoder, plain = codecs.getincrementaldecoder("utf-8")(), True
    try:
        for block in blocks:
            decoder.decode(block)
            plain = plain and block.isascii()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return
    if not plain:
        raise UserError(
            f"{path} is UTF-8, and would be read as {encoding}, by which its letters beyond ASCII are others. Set "
            "tasks.NAME.dataset.encoding=utf-8 for each task; in mtl-init encoding=utf-8."
        )


def other_encoding(path: Path) -> str:
    """Return an encoding that a file which is not UTF-8 may be of: UTF-16 where it begins with the mark of it."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"


def has_one_byte(encoding: str) -> bool:
    """Return whether an encoding is one of those for Europe and beside it, by which every byte is a letter."""
    try:
        return codecs.lookup(encoding).name.startswith(ONE_BYTE)
    except LookupError:
        return False
