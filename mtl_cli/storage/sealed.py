"""Folders of a cache that are whole: each file's size and the checksums of its blocks are written last.

A folder is made under another name, sealed (`seal`) and renamed. A file that lost its end, or a byte of which changed
on the disk, is found: sizes when the folder is opened (`Seal.of`), content when it is read (`Seal.check`), block by
block where a file is memory-mapped (`mtl_cli.tables.mapped`).
"""

import json
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.files import read_json, sync_directory

NAME = "complete"
"""File that says what the others of a folder hold."""
BLOCK = 1 << 22
"""Bytes of a block."""


class Damaged(Exception):
    """A folder of a cache, or a file in it, is not what was written."""


@dataclass(frozen=True)
class Seal:
    """Sizes of a folder's files by name, and the CRC-32 of each block of them."""

    folder: Path
    sizes: dict[str, int]
    sums: dict[str, list[int]]

    @classmethod
    def of(cls, folder: Path) -> "Seal":
        """Return the seal of a folder.

        Raises:
            Damaged: there is none, or a file has another size.
        """
        written = read_json(folder / NAME)
        try:
            body, check = written["files"], written["sum"]
            sizes = {str(name): int(each["size"]) for name, each in body.items()}
            sums = {str(name): [int(number) for number in each["sums"]] for name, each in body.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Damaged(f"{folder / NAME} is missing or damaged") from error
        if check != _sum(body):
            raise Damaged(f"{folder / NAME} is damaged")
        for name, size in sizes.items():
            path = folder / name
            found = path.stat().st_size if path.is_file() else -1
            if found != size:
                raise Damaged(f"{path} has {found} bytes of {size}")
        return cls(folder, sizes, sums)

    def check(self, name: str) -> None:
        """Read a whole file and compare its blocks.

        Raises:
            Damaged: a block is not what was written.
        """
        with (self.folder / name).open("rb") as file:
            if list(_blocks(file)) != self.sums.get(name):
                raise Damaged(f"{self.folder / name} is damaged")


def seal(folder: Path) -> None:
    """Write what the files of a folder hold, once all of them are on the disk.

    Raises:
        OSError: the disk is full, or failed.
    """
    files: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            files[path.name] = {"size": path.stat().st_size, "sums": list(_blocks(file))}
            os.fsync(file.fileno())
    with (folder / NAME).open("w", encoding="utf-8") as file:
        json.dump({"files": files, "sum": _sum(files)}, file)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(folder)


def take_place(made: Path, entry: Path) -> None:
    """Rename a sealed folder to its place, unless a good one is there already; a damaged one is removed.

    Raises:
        OSError: it cannot be renamed.
    """
    try:
        Seal.of(entry)
    except Damaged:
        shutil.rmtree(entry, ignore_errors=True)
        try:
            made.rename(entry)
        except OSError:
            if not (entry / NAME).exists():  # otherwise another process was faster
                raise
        sync_directory(entry.parent)


def _blocks(file: Any) -> Iterator[int]:  # noqa: ANN401  a binary file
    while block := file.read(BLOCK):
        yield zlib.crc32(block)


def _sum(files: object) -> int:
    return zlib.crc32(json.dumps(files, sort_keys=True).encode())
