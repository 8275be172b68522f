"""The real data that ships inside the package; its data card is mtl_cli/images/data/README.md."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError

FOLDER = Path(__file__).parent / "data"
DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


def read_packaged(name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return the arrays of a packaged file by name.

    Args:
        name: the file's name.
        shapes: the arrays it must hold, each with its shape.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = FOLDER / name
    try:
        # The file is opened here because np.load leaves it open when it is not an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: np.asarray(archive[key]) for key in shapes}
    except DAMAGE as error:
        raise damaged(path, str(error)) from error
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise damaged(path, f"{key} has shape {arrays[key].shape}, not {shape}")
    return arrays


def damaged(path: Path, reason: str) -> UserError:
    """Return the error for a packaged file that cannot be used."""
    state = "damaged" if path.exists() else "missing"
    return UserError(
        f"The packaged data file {path} is {state} ({reason}). Reinstall the package: "
        "pip install --force-reinstall --no-deps mtl-cli."
    )
