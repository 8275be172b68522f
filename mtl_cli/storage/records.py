"""The records of a run: one JSON object per line, cut back to a known length when a run resumes."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mtl_cli.errors import RunFailure
from mtl_cli.files import finite

BLOCK = 1 << 16
"""Bytes that are read at once."""


class Mirror(Protocol):
    """Takes every record that is written, such as for TensorBoard."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Take note of a record."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class RecordFile:
    """An append-only file of JSON objects. Equal runs write equal bytes. Records that are cut stay in `mirrors`."""

    def __init__(self, path: Path, length: int | None = 0) -> None:
        """Open `path`, cut to the whole lines among its first `length` bytes; None keeps all whole lines."""
        self.path = path
        self.mirrors: list[Mirror] = []
        self._file = path.open("ab", buffering=0)
        self._file.truncate(whole_lines(path, length))
        self._file.seek(0, os.SEEK_END)

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record.

        Raises:
            RunFailure: the disk is full or the file cannot be written; no part of the record is left.
        """
        data = (json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n").encode()
        length = self.length
        try:
            while data:
                data = data[self._file.write(data) :]  # a disk that fills up may take only a part
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(length)
            raise RunFailure(f"Cannot write {self.path}: {error.strerror}.") from error
        for mirror in self.mirrors:
            mirror.write(record)

    def cut(self, length: int) -> None:
        """Drop what was written after the first `length` bytes.

        Raises:
            RunFailure: the file cannot be written.
        """
        try:
            self._file.truncate(length)
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror}.") from error

    def sync(self) -> int:
        """Make what was written durable and return its length in bytes.

        Raises:
            RunFailure: the disk failed.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror}.") from error
        return self.length

    def close(self) -> None:
        """Close the file and its mirrors."""
        self._file.close()
        for mirror in self.mirrors:
            mirror.close()


def whole_lines(path: Path, length: int | None = None) -> int:
    """Return the length in bytes of the whole lines of a file, or of those within its first `length` bytes."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        end = end if length is None else min(max(length, 0), end)
        while end:  # from the end, so that the records of a long run need not all be read
            start = max(0, end - BLOCK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file; an incomplete last line is left out."""
    if not path.exists():
        return []
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
