"""Files of the Python version of CIFAR-10 and CIFAR-100.

They are pickles, which are read as plain data (`mtl_cli.images.plain_pickle`), so that none of their code runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.images.idx import broken
from mtl_cli.images.plain_pickle import read_plain_pickle

BAD = (OSError, ValueError, KeyError, AttributeError, TypeError)


def read_batch(path: Path, *labels: str) -> tuple[np.ndarray, ...]:
    """Return the images uint8 [N, 3, 32, 32] of a file, and its labels [N] of each of some names.

    Raises:
        UserError: the file is damaged or of another format.
    """
    try:
        entries = _entries(path)
        found = [np.asarray(entries[name], dtype=np.int64) for name in labels]
        images = entries["data"]
        for each in found:
            if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != (len(each), 3072):
                raise ValueError(f"{len(each)} labels do not go with its data")
    except BAD as error:
        raise broken(path, error, "CIFAR batch") from error
    return images.reshape(-1, 3, 32, 32), *found


def read_names(path: Path, *lists: str) -> list[tuple[str, ...]]:
    """Return the names of classes in a file, of each of some lists.

    Raises:
        UserError: the file is damaged or of another format.
    """
    try:
        entries = _entries(path)
        return [tuple(_text(name) for name in entries[key]) for key in lists]
    except BAD as error:
        raise broken(path, error, "CIFAR file of names") from error


def _entries(path: Path) -> Mapping[str, Any]:
    return {_text(key): value for key, value in read_plain_pickle(path).items()}


def _text(value: Any) -> str:  # noqa: ANN401  whatever a file holds
    found = value.decode() if isinstance(value, bytes) else value
    if not isinstance(found, str):
        raise ValueError(f"{found!r} is not a name")
    return found
