"""Where data files lie, which may not be outside data.root, and the errors for files that cannot be read."""

import os
from pathlib import Path

from mtl_cli.errors import UserError, nearest


def data_path(path: str, root: str | None, key: str) -> Path:
    """Return where a data file lies: below `root` if that is set, otherwise below the working directory.

    Args:
        path: the file, as the config says it.
        root: data.root.
        key: the option that `path` is, for messages.

    Raises:
        UserError: there is no such file or folder, or it lies outside `root`, also through a link.
    """
    override = f"tasks.NAME.dataset.{key}"
    if not path:
        raise UserError(f"{override} is empty. Give a file: {override}=FILE.")
    found = Path(path).expanduser()
    if root:
        folder = Path(root).expanduser()
        found = folder / found
        if not found.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{override} is '{path}', which leaves data.root={root}: it is {found.resolve()}. "
                f"Give a path inside it, or drop data.root (tasks.NAME.dataset.root=null)."
            )
    if not found.exists():
        near = nearest(found.name, sorted(os.listdir(found.parent))) if found.parent.is_dir() else ""
        kind, name = ("folder", "DIR") if key == "folder" else ("file", "FILE")
        raise UserError(f"No {kind} at {found}.{near} Give an existing one: {override}={name}.")
    return found


def inside(path: Path, limit: Path) -> Path:
    """Return a path that does not leave a folder, also not through a link.

    Raises:
        UserError: it does.
    """
    if not path.resolve().is_relative_to(limit):
        raise UserError(f"{path} leaves {limit}: it is {path.resolve()}. Copy it inside, or set data.root.")
    return path


def check_file(path: Path, what: str) -> None:
    """Refuse what is not a file.

    Raises:
        UserError: it is not a file; `what` says what to give instead.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file. Give {what}.")


def unknown_encoding(encoding: str, error: LookupError) -> UserError:
    """Return the error for an encoding that Python does not know."""
    return UserError(f"encoding is '{encoding}': {error}. Use for example encoding=latin-1.")


def with_mark(encoding: str) -> str:
    """Return the encoding; for UTF-8, the one that reads a file with or without a byte order mark."""
    return "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
