"""Finds what is wrong with a CSV file that pyarrow refused: the row, the line and the column."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.encodings import other_encoding

MARK = "\N{REPLACEMENT CHARACTER}"
MAX_CELL = 1 << 24


def csv_fault(
    path: Path, encoding: str, delimiter: str, num_columns: int, has_header: bool, error: Exception
) -> UserError:
    """Return the error for a file: it names the first row with bytes that are not text, or another number of cells.

    Args:
        num_columns: cells of every row; 0 where the header itself could not be read.
        error: what the reader said, which is shown for any other fault.
    """
    csv.field_size_limit(MAX_CELL)
    try:
        with io.TextIOWrapper(pa.input_stream(str(path)), encoding=encoding, errors="replace", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter)
            names: list[str] = []
            row = 0
            for cells in reader:
                if has_header and not names:
                    names = cells
                    if not any(MARK in cell for cell in cells):
                        continue
                elif not cells:
                    continue
                else:
                    row += 1
                where = f"{path}, row {row} (line {reader.line_num})"
                bad = next((index for index, cell in enumerate(cells) if MARK in cell), None)
                if bad is not None:
                    column = names[bad] if bad < len(names) else f"number {bad + 1}"
                    return _bytes_fault(where, column, cells[bad], encoding, other_encoding(path))
                if num_columns and len(cells) != num_columns:
                    return _ragged_fault(where, names, cells, num_columns)
    except (csv.Error, UnicodeError, OSError, pa.ArrowException, LookupError) as other:
        error = other
    return UserError(f"{path} cannot be read as CSV with delimiter '{delimiter}' and encoding {encoding}: {error}.")


def _bytes_fault(where: str, column: str, cell: str, encoding: str, other: str) -> UserError:
    return UserError(
        f"{where}, column '{column}': '{cell[:60]}' holds bytes that are not {encoding}. "
        f"Set the file's encoding, for example tasks.NAME.dataset.encoding={other}."
    )


def _ragged_fault(where: str, names: list[str], cells: list[str], num_columns: int) -> UserError:
    if num_columns == 1 and len(names) == 1:
        return UserError(
            f"{where} has {len(cells)} cells, but the first line only one: '{names[0][:60]}'. It is read as the names "
            "of the columns. If it is a title or a comment, delete what stands above the names."
        )
    if len(cells) < num_columns:
        at = f"no cell for column '{names[len(cells)]}'" if names else f"no cell number {len(cells) + 1}"
    else:
        at = f"a cell '{cells[num_columns][:60]}' after the last column"
    return UserError(
        f"{where} has {len(cells)} cells, the header {num_columns}: {at}. "
        "Quote cells that hold the delimiter, or fix the row."
    )


class QuotePairs:
    """Whether the quotes in blocks of bytes may all open a cell after a delimiter and close it before one."""

    def __init__(self, delimiter: str) -> None:
        self._edges = np.frombuffer(f'{delimiter}"\r\n'.encode(), dtype=np.uint8)
        self._before, self._opens = b"\n", True
        self.count, self.fit = 0, True

    def add(self, block: bytes) -> None:
        """Look at the next block."""
        block = block.removeprefix(codecs.BOM_UTF8)
        count = block.count(b'"')
        if count and self.fit:
            text = np.frombuffer(self._before + block + b"\n", dtype=np.uint8)
            at = np.flatnonzero(text[1:-1] == ord('"')) + 1
            beside = at + np.where((np.arange(count) % 2 == 0) == self._opens, -1, 1)
            self.fit = bool(np.isin(text[beside], self._edges).all())
            self._opens ^= count % 2 == 1
        self.count += count
        self._before = block[-1:] or self._before


def open_quote(path: Path, encoding: str, delimiter: str) -> UserError | None:
    """Return the error for a quoted cell of a file that goes on over the rows after it, or None."""
    with io.TextIOWrapper(pa.input_stream(str(path)), encoding=encoding, errors="replace", newline="") as text:
        return open_quote_in(text, str(path), delimiter)


def open_quote_in(text: Iterable[str], name: str, delimiter: str) -> UserError | None:
    """Return the error for a quoted cell in lines that goes on over the rows after it, or None.

    It goes on to the end of the file, or up to a quote with text behind it, which opens another cell.
    """
    csv.field_size_limit(MAX_CELL)
    held: list[str] = []
    line, row = 1, 0
    reader = csv.reader(_kept(text, held), delimiter=delimiter)
    try:
        for cells in reader:
            _check_closed(held, delimiter)
            held.clear()
            line = reader.line_num + 1
            row += bool(cells)
    except csv.Error:
        return UserError(
            f"{name}, row {row} (line {line}): a cell starts with a quote that is not closed, so that the rows after "
            "it would be lost. Close it, or double the quote inside a quoted cell."
        )
    return None


def _kept(lines: Iterable[str], held: list[str]) -> Iterator[str]:
    """Yield lines, each of which `held` gets too."""
    for line in lines:
        held.append(line)
        yield line


def _check_closed(lines: list[str], delimiter: str) -> None:
    """Read the lines of one row strictly.

    Raises:
        csv.Error: a quote in them is not closed, or is closed on another line, before more text.
    """
    try:
        next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        if len(lines) > 1 or "end of data" in str(error):
            raise
