"""Keeps results of tokenising on disk, under names that are hashes of what they were made from."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.files import sha256, write_bytes
from mtl_cli.storage.sealed import BLOCK, Damaged, Seal, seal, take_place
from mtl_cli.tables.reading import TableFile
from mtl_cli.texts.ragged import Ragged

logger = logging.getLogger("mtl_cli")
CACHE_FORMAT = 2


def digest(*parts: Any) -> str:  # noqa: ANN401  any plain data
    """Return a hash of plain data and arrays, as a name."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part.tobytes() if isinstance(part, np.ndarray) else json.dumps(part, sort_keys=True).encode())
        hashed.update(b"\x1f")
    return hashed.hexdigest()[:32]


def content_name(file: TableFile) -> str:
    """Return a hash of what a file holds and of how it is read, as a name."""
    return digest(file.content_hash, asdict(file.options))


def cached_text(folder: Path | None, name: str, make: Callable[[], str]) -> str:
    """Return what `make` returns, read from the file `name` of a folder if it is there; with None nothing is kept.

    A file that does not begin with the digest of its content is damaged and made again.

    Raises:
        UserError: the folder cannot be written.
    """
    if folder is None:
        return make()
    path = folder / f"{name}.json"
    if path.exists():
        check, _, text = path.read_text(encoding="utf-8", errors="replace").partition("\n")
        if check == sha256(text.encode()):
            return text
        logger.warning("%s is damaged. It is made again.", path)
    text = make()
    with _writing(folder):
        write_bytes(path, f"{sha256(text.encode())}\n{text}".encode())
    return text


def cached_rows(folder: Path | None, name: str, make: Callable[[], Ragged]) -> Ragged:
    """Return what `make` returns, memory-mapped from the entry `name` of a folder; with None nothing is kept.

    A damaged entry is made again.

    Raises:
        UserError: the folder cannot be written.
    """
    if folder is None:
        return make()
    entry = folder / name
    try:
        return whole_rows(entry)
    except Damaged as damage:
        if entry.exists():
            logger.warning("%s. The texts are cut again.", damage)
            shutil.rmtree(entry, ignore_errors=True)
    with _writing(folder):
        made = Path(tempfile.mkdtemp(prefix=".tokenising-", dir=folder))
        try:
            rows = make()
            np.save(made / "values.npy", rows.values)
            np.save(made / "offsets.npy", rows.offsets)
            seal(made)
            take_place(made, entry)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return whole_rows(entry)


def whole_rows(entry: Path) -> Ragged:
    """Return the rows of an entry, once its files are known to be good.

    Raises:
        Damaged: they are not.
    """
    found = Seal.of(entry)
    for name in found.sizes:
        found.check(name)
    values = np.load(entry / "values.npy", mmap_mode="r" if found.sizes["values.npy"] >= BLOCK else None)
    return Ragged(values, np.load(entry / "offsets.npy"))


class _writing:
    """Makes a folder, and turns a failure to write there into a UserError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(error) from error
        if not os.access(self.folder, os.W_OK):
            raise self._error(PermissionError(13, "Permission denied"))

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise self._error(error) from error

    def _error(self, error: OSError) -> UserError:
        return UserError(
            f"Cannot keep tokenised texts in {self.folder}: {error.strerror}. Give another folder by "
            "tasks.NAME.dataset.cache_dir=DIR."
        )
