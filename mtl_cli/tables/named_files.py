"""Where the files are that a table names, such as sounds and images: in the table's folder, or in another one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtl_cli.config.options import Options, option
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.paths import data_path
from mtl_cli.tables.reading import TableFile


@dataclass(frozen=True, kw_only=True)
class FolderOptions(Options):
    """Where the files are that a table names."""

    folder: str | None = option(None, example="clips")
    """Folder that the paths in a table are relative to; None is that of the table."""


@dataclass(frozen=True)
class Place:
    """The folder that paths are relative to, and the one that they may not leave."""

    folder: Path
    limit: Path


def place_of(file: TableFile, root: str | None = None, folder: str | None = None) -> Place:
    """Return where the files are that a table names, of which `folder` may say more; none may leave `root`.

    Raises:
        UserError: there is no such folder, or it leaves `root`.
    """
    own = file.path.parent if folder is None else data_path(folder, root, "folder")
    own = file.folder if isinstance(file, Listing) else own
    whole = Path(root).expanduser() if root else own
    return Place(own, whole if own.resolve().is_relative_to(whole.resolve()) else own)


def place_of_new(file: TableFile, column: str, root: str | None, folder: str | None) -> Place:
    """Return where the files of a new table are: in its own folder, unless its first is only in that of training."""
    own = place_of(file, root)
    if folder is None or isinstance(file, Listing) or column not in file.columns:
        return own
    cells = (cell for _, batch in file.batches([column]) for cell in batch.column(0).to_pylist())
    first = str(next(filter(None, cells), ""))
    trained = Path(root or "", folder).expanduser()
    return place_of(file, root, folder) if not (own.folder / first).exists() and (trained / first).exists() else own


def folder_with(paths: Sequence[str], folder: Path) -> Path | None:
    """Return the folder near a table's `folder` that holds one of the paths: below it, or below the one above it."""
    near = [folder, *below(folder), folder.parent, *below(folder.parent)]
    return next((each for each in near if any((each / path).is_file() for path in paths)), None)


def below(folder: Path) -> list[Path]:
    """Return the folders in a folder, in order; none where it cannot be listed."""
    try:
        return sorted(folder / entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")
    except OSError:
        return []
