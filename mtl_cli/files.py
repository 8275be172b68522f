"""Files that appear whole or not at all."""

import contextlib
import errno
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mtl_cli.errors import RunFailure, UserError

MAX_SMALL = 16 * 2**20
"""Size limit, in bytes, of the files that are not meant to hold data."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: temporary file, fsync, rename, fsync of the directory.

    Raises:
        RunFailure: the disk is full or the directory cannot be written; a previous file of that name is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # left by a killed process
        with temporary.open("xb") as file:  # never through a link that somebody left there
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise RunFailure(f"Cannot write {path}: {error.strerror}. What was there before is untouched.") from error
    sync_directory(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder unless it is there.

    Raises:
        RunFailure: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFailure(f"Cannot make the folder {path}: {error.strerror}.") from error


def unmakeable(path: Path) -> str | None:
    """Return why a folder at `path` cannot be made or written, as far as that shows without making it; else None."""
    place, missing = path.absolute(), []
    while not os.path.lexists(place):  # also false where a name is too long to be looked up
        missing.append(place.name)
        place = place.parent
    if not place.is_dir():
        return f"{place} is not a folder"
    longest = os.pathconf(place, "PC_NAME_MAX")
    for name in missing:
        if (size := len(os.fsencode(name))) > longest:
            return f"the name {name[:40]}… has {size} bytes, and a name in {place} has at most {longest}"
    return None if os.access(place, os.W_OK | os.X_OK) else f"{place} may not be written"


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable, where its file system can.

    Raises:
        RunFailure: the disk failed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync a directory
            raise RunFailure(f"Cannot make the files in {path} durable: {error.strerror}.") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically; a float that is not finite, which JSON does not have, becomes null."""
    write_text(path, json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def finite(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Return a JSON value with every float that is not finite replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_small(path: Path) -> str:
    """Return the text of a file of a few MB at most; a link that a stranger made to /dev/zero would have no end.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger.
        UnicodeDecodeError: it is not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")
    with path.open("rb") as file:
        data = file.read(MAX_SMALL + 1)
    if len(data) > MAX_SMALL:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_SMALL // 2**20} MB")
    return data.decode()


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or an empty one where the file is missing or does not hold an object."""
    try:
        value = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def sha256(data: bytes) -> str:
    """Return the SHA-256 digest in hex."""
    return hashlib.sha256(data).hexdigest()


class FileWriter:
    """A file beside another one that appears whole at the block's end, or not at all.

    A subclass opens `temporary` as `file`, writes to it, and may write more before the file is closed (`finish`).

    Raises:
        UserError: `path` is the file `like` itself, or its folder cannot be written.
    """

    def __init__(self, path: Path, like: Path) -> None:
        check_place(path, like)
        self.path = path
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self.file: Any = None

    def __enter__(self) -> Self:
        return self

    def finish(self) -> None:
        """Write what comes after all rows; called only where the block ended without an error."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self.failing():
                if kind is None:
                    self.finish()
                if self.file is not None:
                    self.file.close()
                if kind is None:
                    with self.temporary.open("rb") as file:
                        os.fsync(file.fileno())
                    self.temporary.replace(self.path)
                    sync_directory(self.path.parent)
        finally:
            self.temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Turn a full disk, or a folder that cannot be written, into the failure of the run.

        Raises:
            RunFailure: one of these happened.
        """
        try:
            yield
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror or error}.") from error


def check_place(path: Path, like: Path) -> None:
    """Check that a file can be written at a place, before any work is done.

    Raises:
        UserError: it is the file `like` itself, or its folder cannot be written.
    """
    if path.exists() and path.samefile(like):
        raise UserError(f"output is {path}, the input itself, which is never overwritten. Give another output=FILE.")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        what = "is a folder" if path.is_dir() else "is not in a folder that can be written"
        raise UserError(f"output is {path}, which {what}. Give a file in one: output=FILE.")
