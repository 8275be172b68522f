"""Where Python finds the user's own modules."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def own_path() -> Iterator[None]:
    """Let the user's own modules be imported for a block: the working directory goes last on the import path.

    In front, a stranger's `yaml.py` there would run.
    """
    before = list(sys.path)
    add_to_path(Path.cwd())
    try:
        yield
    finally:
        sys.path[:] = before


def add_to_path(folder: Path) -> None:
    """Append a folder to the import path, once."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
