"""What files hold, as one digest: only content counts, not names of folders or times."""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtl_cli.errors import RunFailure
from mtl_cli.files import make_folder, read_json, write_json
from mtl_cli.storage.cache_folder import default_cache

SETTLED = 2.0
"""Seconds after which a file that changes again has another time, whatever its file system."""
REMEMBERED = 64 * 2**20
"""Bytes from which a digest is kept in the user's cache, so that files which did not change are hashed once."""
_known: dict[str, tuple[str, str]] = {}
"""Stamp and digest of files by their paths: those of a sweep are hashed once."""


@dataclass(frozen=True)
class Fingerprint:
    """The digest of one or many files, their number and the sum of their sizes."""

    digest: str
    files: int
    bytes: int

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "Fingerprint":
        """Return the fingerprint of files: of one file the SHA-256 digest, of many one of their names and digests.

        Names are relative to the folder that all files have in common. Files whose size, times and number in the file
        system are as they were are not hashed again.

        Raises:
            OSError: a file cannot be read.
        """
        stats = [path.stat() for path in paths]
        size = sum(stat.st_size for stat in stats)
        stamp = _digest(f"{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_dev} {s.st_ino}" for s in stats)
        place = _digest(str(path.absolute()) for path in paths)
        digest = _remembered(place, stamp, size)
        if digest is None:
            settled = max((max(s.st_mtime, s.st_ctime) for s in stats), default=0.0) < time.time() - SETTLED
            digest = _hashed(paths)
            if settled:
                _remember(place, stamp, digest, size)
        return cls(digest, len(paths), size)


def _hashed(paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return _content(paths[0])
    common = os.path.commonpath([path.absolute() for path in paths]) if paths else ""
    names = {os.path.relpath(path.absolute(), common): path for path in paths}
    return _digest(f"{name}\0{_content(names[name])}" for name in sorted(names))


def _content(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _remembered(place: str, stamp: str, size: int) -> str | None:
    known = _known.get(place)
    if known is None and size >= REMEMBERED:
        kept = read_json(_file(place))
        known = str(kept.get("stamp")), str(kept.get("digest"))
    return known[1] if known is not None and known[0] == stamp else None


def _remember(place: str, stamp: str, digest: str, size: int) -> None:
    _known[place] = stamp, digest
    if size >= REMEMBERED:
        with contextlib.suppress(RunFailure):  # it is hashed again next time
            make_folder(_file(place).parent)
            write_json(_file(place), {"stamp": stamp, "digest": digest})


def _file(place: str) -> Path:
    return default_cache() / "digests" / f"{place[:32]}.json"
