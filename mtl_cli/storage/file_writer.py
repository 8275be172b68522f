"""A file of predictions that is written beside another one and appears whole or not at all."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import Temporary, sweep, sync_directory


class FileWriter:
    """A file beside another one that appears whole at the block's end, or not at all.

    A subclass opens `temporary` as `file`, writes to it, and may write more before the file is closed (`finish`).

    Raises:
        UserError: `path` is the file `like` itself, or its folder cannot be written.
    """

    def __init__(self, path: Path, like: Path) -> None:
        check_place(path, like)
        self.path = path
        self.file: Any = None
        self._held = contextlib.ExitStack()

    @functools.cached_property
    def temporary(self) -> Path:
        """A new file beside `path`, made when it is first asked for."""
        self._held.enter_context(NewFolders(self.path.absolute().parent))
        sweep(self.path.parent, self.path.name)
        return self._held.enter_context(Temporary(self.path)).path

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
            self._held.close()

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
    if path.is_dir() or not can_hold(path):
        what = "is a folder" if path.is_dir() else "is not in a folder that can be written"
        raise UserError(f"output is {path}, which {what}. Give a file in one: output=FILE.")


def can_hold(path: Path) -> bool:
    """Return True where a file can be made, in a folder that is there or that can be made."""
    there = next(parent for parent in path.absolute().parents if parent.exists())
    return there.is_dir() and os.access(there, os.W_OK)


class NewFolders:
    """A folder that is made, with those above it, and taken away again where it is still empty at the block's end."""

    def __init__(self, path: Path) -> None:
        self._made = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()
