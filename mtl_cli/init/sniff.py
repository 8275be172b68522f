"""How a file of text is written: its encoding and delimiter, guessed from its bytes."""

import codecs
import csv
import io
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa

HEAD_BYTES = 1 << 16
HEAD_ROWS = 50
DELIMITERS = (",", ";", "\t", "|")
BLOCK = 1 << 20


def sniff_encoding(path: Path) -> str:
    """Return utf-8, utf-16 where a byte-order mark says so, or latin-1 for a file that is neither.

    Raises:
        UserError: the file cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with pa.input_stream(str(path)) as stream:
            block = stream.read(BLOCK)
            if block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16"
            while block:
                decoder.decode(block)
                block = stream.read(BLOCK)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"Cannot read {path}: {error}.") from error
    return "utf-8"


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
