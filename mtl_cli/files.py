"""Files that appear whole or not at all."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mtl_cli.errors import RunFailure

try:
    import fcntl
except ImportError:  # Windows, where what a killed process left stays
    fcntl = None  # type: ignore[assignment]  # the stubs know POSIX only

MAX_SMALL = 16 * 2**20
"""Size limit, in bytes, of the files that are not meant to hold data."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: temporary file, fsync, rename, fsync of the directory.

    Raises:
        RunFailure: the disk is full or the directory cannot be written; a previous file of that name is untouched.
    """
    sweep(path.parent, path.name)
    try:
        with Temporary(path) as temporary:
            with open(temporary.descriptor, "wb", closefd=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.path.replace(path)
    except OSError as error:
        raise RunFailure(f"Cannot write {path}: {error.strerror}. What was there before is untouched.") from error
    sync_directory(path.parent)


class Temporary:
    """A new file or folder beside `path`, under a name of its own, that is gone at the block's end unless it is moved.

    It is locked as long as the block runs, so that `sweep` tells it from what a killed process left.
    """

    def __init__(self, path: Path, folder: bool = False) -> None:
        name = path.name if len(os.fsencode(path.name)) < 200 else sha256(os.fsencode(path.name))
        flags = os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT | os.O_EXCL  # never through somebody's link
        while True:
            self.path = path.with_name(f".{name}.{secrets.token_hex(8)}.tmp")
            if folder:
                self.path.mkdir()
            try:
                self.descriptor = os.open(self.path, flags, 0o666)
            except FileNotFoundError:
                if not path.parent.is_dir():
                    raise
                continue  # swept before it was opened
            if lock(self.descriptor) is not False and self.path.exists():
                return
            os.close(self.descriptor)  # swept before it was locked

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            remove(self.path)
        os.close(self.descriptor)


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove from a folder the temporary files, of the file `name` or of all, that no living process writes."""
    leftover = re.compile(rf"\.{'.+' if name is None else re.escape(name)}(\.\d+|\.[0-9a-f]{{16}})?\.tmp")
    with contextlib.suppress(OSError):
        for path in [Path(entry.path) for entry in os.scandir(folder) if leftover.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                if path.is_symlink() or not (path.is_file() or path.is_dir()):
                    path.unlink()
                    continue
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if lock(descriptor):
                        remove(path)
                finally:
                    os.close(descriptor)


def lock(descriptor: int) -> bool | None:
    """Lock an open file or folder; return False where another process has it, None where nothing can be locked."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder with all that it holds."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


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


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON: the `object_pairs_hook` of readers, which would else take the last of equal keys.

    Raises:
        ValueError: it has a key twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"an object has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return found


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
