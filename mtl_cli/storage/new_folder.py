"""A folder that appears whole or not at all."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import Temporary, sweep, sync_directory
from mtl_cli.storage.file_writer import NewFolders, can_hold


class NewFolder:
    """A new folder, filled as `temporary` and moved to its place at the block's end.

    Args:
        path: the folder; it does not exist yet, or is empty.
        why: why it is a folder, for the message where it is a file.

    Raises:
        UserError: it holds something already, or cannot be made.
    """

    def __init__(self, path: Path, why: str) -> None:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            what = "holds files already" if path.is_dir() else f"is a file, and {why}"
            raise UserError(f"output is {path}, which {what}. Give a new folder: output=DIR.")
        if not can_hold(path):
            raise UserError(f"output is {path}, which is not in a folder that can be written. Give another output=DIR.")
        self.path = path
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._held.enter_context(NewFolders(self.path.absolute().parent))
            sweep(self.path.absolute().parent, self.path.name)
            self.temporary = self._held.enter_context(Temporary(self.path, folder=True)).path
            self.begin()
        except OSError as error:
            raise RunFailure(f"Cannot write {self.path}: {error.strerror}.") from error
        return self

    def begin(self) -> None:
        """Begin what is in the folder."""

    def finish(self) -> None:
        """Finish what is in the folder, before it is moved."""

    def close(self) -> None:
        """Close what is open, also where the block failed."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
                if self.path.exists():
                    self.path.rmdir()
                self.temporary.rename(self.path)
                sync_directory(self.path.absolute().parent)
        except OSError as failure:
            raise RunFailure(f"Cannot write {self.path}: {failure.strerror}.") from failure
        finally:
            self.close()
            self._held.close()
