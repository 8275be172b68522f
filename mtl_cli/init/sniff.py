"""How a file of text is written: its encoding and delimiter, guessed from its bytes."""

import codecs
import csv
import io
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa

HEAD_BYTES = 1 << 16
HEAD_ROWS = 50
DELIMITERS = (",", ";", "\t", "|")
BLOCK = 1 << 20
TOGETHER, ODD = 0.6, 0.3
"""Share of letters beyond ASCII that follow another one, and that are capitals or signs which do, from which on a text
is not of Western Europe."""
MOSTLY = 0.7
NOT_CP1252 = frozenset((0x81, 0x8D, 0x8F, 0x90, 0x9D))
"""Bytes that have no meaning in Windows' code page 1252."""


def sniff_encoding(path: Path) -> str:
    """Return utf-8, utf-16 where a byte-order mark says so, else latin-1, or cp1252 with its signs such as €.

    Raises:
        UserError: the file cannot be read, or is of another encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    seen = np.zeros(3, dtype=np.int64)
    signs = set[int]()
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
                data = np.frombuffer(block, np.uint8)
                seen += letters(data)
                signs |= set(np.unique(data[(data > 127) & (data < 160)]).tolist())
                block = stream.read(BLOCK)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"Cannot read {path}: {error}.") from error
    if is_utf8 and not decoder.getstate()[0]:
        return "utf-8"
    if seen[1] > TOGETHER * seen[0] or seen[2] > ODD * seen[0] or signs & NOT_CP1252:
        raise UserError(
            f"{path} is not UTF-8, and perhaps no text of Western Europe. Say its encoding: mtl-init … encoding=cp1252 "
            "(Western), encoding=cp1251 (Cyrillic), encoding=shift_jis, encoding=gb18030 or encoding=euc_kr."
        )
    return "cp1252" if signs else "latin-1"


def letters(data: np.ndarray) -> np.ndarray:
    """Return how many bytes are beyond ASCII, follow another such one, and do so without being a small letter [3]."""
    high, first = data > 127, data[:-1] > 160
    odd = first & (data[1:] > 160) & (data[1:] < 0xDF)
    return np.array([high.sum(), (high[1:] & high[:-1]).sum(), odd.sum()])


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
