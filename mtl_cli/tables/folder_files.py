"""Which files a folder holds."""

import os
from collections.abc import Sequence
from pathlib import Path


def files_below(folder: Path, endings: Sequence[str]) -> list[Path]:
    """Return the files of some endings in a folder and below it in order, without those behind linked folders.

    What is hidden, such as .ipynb_checkpoints, is left out, and so is what an archive of a Mac holds beside its files.
    """
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        found += [Path(root, name) for name in sorted(names) if Path(name).suffix.lower() in endings and name[0] != "."]
    return found
