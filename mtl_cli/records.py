"""The records of a run: one JSON object a line, cut back to a known length when a run resumes."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtl_cli.errors import RunFailure


class JsonLines:
    """An append-only file of JSON objects. Equal runs write equal bytes."""

    def __init__(self, path: Path, length: int | None = 0) -> None:
        """Open `path`, cut to `length` bytes; None keeps what whole lines are there."""
        self.path = path
        self._file = path.open("ab")
        if length is None:
            length = whole_lines(path)
        self._file.truncate(length)
        self._file.seek(0, os.SEEK_END)

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record.

        Raises:
            RunFailure: the disk is full or the file cannot be written.
        """
        line = json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror}.") from error

    def sync(self) -> int:
        """Make what was written durable and return its length in bytes."""
        os.fsync(self._file.fileno())
        return self.length

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def whole_lines(path: Path) -> int:
    """Return the length in bytes of the whole lines of a file."""
    return path.read_bytes().rfind(b"\n") + 1


def finite(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Return a JSON value with every float that is not finite replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file, without a last line that is incomplete."""
    if not path.exists():
        return []
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
