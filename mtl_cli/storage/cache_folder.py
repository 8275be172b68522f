"""The folder of what can be made again: tables that were read, texts that were cut, digests of files."""

import os
from pathlib import Path


def default_cache() -> Path:
    """Return the cache folder of the user: $XDG_CACHE_HOME/mtl_cli, or ~/.cache/mtl_cli."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mtl_cli"
