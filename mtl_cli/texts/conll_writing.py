"""Writes a CoNLL file again, line by line, each word with further columns."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from mtl_cli.storage.file_writer import FileWriter
from mtl_cli.texts.conll import GLOBAL, ConllFile

NOTHING = "_"
"""Cell for a line that is not a word: a multi-word token or an empty node."""


class ConllWriter(FileWriter):
    """Writes the lines of `like`, words with cells of further `columns`, to a file that appears whole or not at all.

    All other lines are copied as they are: comments, blank lines, lines that are not words. CoNLL-U becomes CoNLL-U
    Plus, whose first line names the columns.

    Raises:
        UserError: `path` is the file of `like`, or its folder cannot be written.
    """

    def __init__(self, path: Path, like: ConllFile, columns: Sequence[str]) -> None:
        super().__init__(path, like.path)
        self.like, self.columns = like, list(columns)
        self._lines: Iterator[tuple[int, str]] = like.lines()
        self._separator = "\t" if like.separator == "\t" else " "

    def __enter__(self) -> Self:
        with self.failing():
            self.file = self.temporary.open("w", encoding=self.like.options.encoding, newline="\n")
            if self.like.format == "conllu":
                names = [*(name.upper() for name in self.like.columns), *self.columns]
                self.file.write(f"# global.columns = {' '.join(names)}\n")
        return self

    def write(self, numbers: Sequence[int], columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Write all lines up to the last of `numbers`, which are the lines of the words that `columns` has cells for.

        Raises:
            RunFailure: the disk is full or the folder cannot be written.
        """
        cells = zip(*(columns[name].astype(str).tolist() for name in self.columns), strict=True)
        cells_of = dict(zip(numbers, cells, strict=True))
        with self.failing():
            while cells_of:
                number, line = next(self._lines)
                self.file.write(self._line(line, cells_of.pop(number, None)))

    def finish(self) -> None:
        """Write the lines after the last word."""
        for _, line in self._lines:
            self.file.write(self._line(line, None))

    def _line(self, line: str, cells: Sequence[str] | None) -> str:
        if cells is None:
            if GLOBAL.match(line):
                return ""
            own = self.like.cells(line)
            if not line.strip() or self.like.is_comment(line, own, first=True) or len(own) != len(self.like.columns):
                return f"{line}\n"
            cells = [NOTHING] * len(self.columns)
        return self._separator.join([line, *cells]) + "\n"
