"""How a file of text is written: its encoding and delimiter, guessed from its bytes."""

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.init.western import Words, readings
from mtl_cli.tables.arrow import pa

HEAD_BYTES = 1 << 16
HEAD_ROWS = 50
DELIMITERS = (",", ";", "\t", "|")
BLOCK = 1 << 20
MOSTLY = 0.7


def sniff_encoding(path: Path) -> str:
    """Return utf-8, utf-16 where a byte-order mark says so, else latin-1, or cp1252 with its signs such as €.

    Raises:
        UserError: the file cannot be read, or is of another encoding.
    """
    found = look_at_bytes(path)
    if isinstance(found, str):
        return found
    if odd := found.odd:
        ways = " or ".join(f"encoding={name} ({text})" for name, text in readings(odd, found.head).items())
        raise UserError(
            f"{path} is not UTF-8, and hardly of Western Europe. Say its encoding, by which a word of it reads as in "
            f"parentheses: mtl-init … {ways}."
        )
    return "cp1252" if found.signs else "latin-1"


def encoding_of_all(paths: Sequence[Path]) -> str:
    """Return the one encoding that files are read in together.

    Raises:
        UserError: one of them cannot be read, or they differ.
    """
    found = {path: sniff_encoding(path) for path in paths}
    others = {path: name for path, name in found.items() if name != "utf-8" or not is_ascii(path)}
    names = list(dict.fromkeys(others.values()))
    if {*names} <= {"latin-1", "cp1252"}:  # the second has the letters of the first
        return "cp1252" if "cp1252" in names else "latin-1" if names else "utf-8"
    if len(names) > 1:
        listed = ", ".join(f"{path} is {name}" for path, name in others.items())
        raise UserError(f"The files are of several encodings: {listed}. Write all of them in UTF-8.")
    return names[0]


def is_ascii(path: Path) -> bool:
    """Return whether a file holds nothing beyond ASCII."""
    with pa.input_stream(str(path)) as stream:
        return all(block.isascii() for block in iter(lambda: stream.read(BLOCK), b""))


def doubtful_encoding(path: Path, encoding: str) -> list[str]:
    """Return that a file which is read as Western holds a word that may be of Central Europe."""
    found = look_at_bytes(path) if encoding in ("cp1252", "latin-1") else encoding
    if isinstance(found, str) or not (word := found.doubtful):
        return []
    other = readings(word, found.head).get("cp1250", word)
    return [f"in {encoding} a word of it is '{word}'. If it is '{other}', say so: mtl-init … encoding=cp1250"]


def look_at_bytes(path: Path) -> str | Words:
    """Return the encoding of a file where it is Unicode, else its words beyond ASCII.

    Raises:
        UserError: the file cannot be read, or is UTF-16 without a mark that says so.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    words = Words()
    try:
        with pa.input_stream(str(path)) as stream:
            block = stream.read(BLOCK)
            if block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16"
            for start, name in enumerate(("utf-16-be", "utf-16-le")):  # the other byte of most letters is 0
                if len(block) > 1 and block[start::2].count(0) > MOSTLY * len(block[start::2]):
                    raise UserError(f"{path} looks like UTF-16. Say so: mtl-init … encoding={name}.")
            is_utf8 = True
            while block:
                try:
                    is_utf8 = is_utf8 and decoder.decode(block) is not None
                except UnicodeDecodeError:
                    is_utf8 = False
                if not is_utf8:
                    words.add(block)
                block = stream.read(BLOCK)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"Cannot read {path}: {error}.") from error
    return "utf-8" if is_utf8 and not decoder.getstate()[0] else words


def sniff_delimiter(path: Path, encoding: str) -> str:
    """Return the delimiter by which the first rows have the same number of cells, the largest such number.

    A file of one column has a comma.
    """
    with pa.input_stream(str(path)) as stream:
        head = codecs.getincrementaldecoder(encoding)("replace").decode(stream.read(HEAD_BYTES))
    lines = head if len(head) < HEAD_BYTES // 2 else head[: head.rfind("\n") + 1]
    best, most = ",", 1
    for delimiter in DELIMITERS:
        rows = [row for row in csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter) if row][:HEAD_ROWS]
        width = len(rows[0]) if rows else 0
        if width > most and all(len(row) == width for row in rows):
            best, most = delimiter, width
    return best
