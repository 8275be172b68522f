"""A CoNLL file written again, line by line, each word with further columns."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import sync_directory
from mtl_cli.texts.conll import GLOBAL, ConllFile

NOTHING = "_"
"""Cell of a line that is no word: a multi-word token or an empty node."""


class ConllWriter:
    """Writes the lines of `like`, words with cells of further `columns`, to a file that appears whole or not at all.

    All lines come as they are: comments, blank lines, lines that are no words. What was CoNLL-U becomes CoNLL-U Plus,
    whose first line names the columns.

    Raises:
        UserError: `path` is the file of `like`, or in no folder that can be written.
    """

    def __init__(self, path: Path, like: ConllFile, columns: Sequence[str]) -> None:
        if path.exists() and path.samefile(like.path):
            raise UserError(
                f"output is {path}, the input itself, which is never overwritten. Give another output=FILE."
            )
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise UserError(
                f"output is {path}, which is in no folder that can be written. Give a file in one: output=FILE."
            )
        self.path, self.like, self.columns = path, like, list(columns)
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: TextIO | None = None
        self._lines: Iterator[tuple[int, str]] = like.lines()
        self._separator = "\t" if like.separator == "\t" else " "

    def __enter__(self) -> "ConllWriter":
        try:
            self._file = self.temporary.open("w", encoding=self.like.options.encoding, newline="\n")
            if self.like.format == "conllu":
                names = [*(name.upper() for name in self.like.columns), *self.columns]
                self._file.write(f"# global.columns = {' '.join(names)}\n")
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror or error}.") from error
        return self

    def write(self, numbers: Sequence[int], columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Write all lines up to the last of `numbers`, those of the words that the cells of `columns` are for.

        Raises:
            RunFailure: the disk is full or the folder cannot be written.
        """
        assert self._file is not None, "inside the block"
        cells = zip(*(columns[name].astype(str).tolist() for name in self.columns), strict=True)
        of = dict(zip(numbers, cells, strict=True))
        try:
            while of:
                number, line = next(self._lines)
                self._file.write(self._line(line, of.pop(number, None)))
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror or error}.") from error

    def _line(self, line: str, cells: Sequence[str] | None) -> str:
        if cells is None:
            if GLOBAL.match(line):
                return ""
            own = self.like.cells(line)
            if not line.strip() or self.like.is_comment(line, own) or len(own) != len(self.like.columns):
                return f"{line}\n"
            cells = [NOTHING] * len(self.columns)
        return self._separator.join([line, *cells]) + "\n"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None, "inside the block"
        try:
            if kind is None:
                for _, line in self._lines:
                    self._file.write(self._line(line, None))
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
            if kind is None:
                self.temporary.replace(self.path)
                sync_directory(self.path.parent)
        except OSError as failure:
            raise RunFailure(f"Cannot write {self.path}: {failure.strerror or failure}.") from failure
        finally:
            self.temporary.unlink(missing_ok=True)
