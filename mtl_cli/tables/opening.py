"""Tables that are open: each file is read once in a process, however many jobs and folds use it.

1. A file is known by its path, time, size and the options that it is read with (`_identity`). What was read before
   under the same identity is used again; where more than MAX_OPEN tables would be open, the oldest is forgotten.
2. A table that fits into `memory_mb` is read into memory. A larger one is written to the cache once, and from then on
   memory-mapped from there, also by other processes.
3. What the columns of a file hold (`Profile`) is found by a pass of its own. For a large file it is kept in the cache
   too, under a name that depends on the content, so that a file that changed is read again.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mtl_cli.config.options import Options
from mtl_cli.errors import RunFailure
from mtl_cli.files import read_json, sha256, write_json
from mtl_cli.storage.cache_folder import default_cache
from mtl_cli.tables.profile import ColumnProfile, Profile, profile
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.store import Layout, Table, cached_table, entry_name, read_table

MEGABYTE = 1 << 20
MAX_OPEN = 8
PROFILE = {each.name for each in fields(ColumnProfile)} - {"path"}
"""What the cache keeps of a column; a file of the cache with something else is from another version."""
_profiles: dict[Any, Profile] = {}
_tables: dict[Any, Table] = {}


@dataclass(frozen=True, kw_only=True)
class Memory(Options):
    """How large a table may be before it stays on disk."""

    memory_mb: float
    """Megabytes; a larger table is memory-mapped from a cache."""
    cache_dir: str | None
    """Folder of that cache and of tokenised texts; None is the cache folder of the user."""

    def holds(self, layout: Layout, rows: int) -> bool:
        """True for a table that is read into memory."""
        width = 8 * (len(layout.numbers) + len(layout.dates)) + 4 * len(layout.texts)
        return rows * width <= self.memory_mb * MEGABYTE

    @property
    def path(self) -> Path:
        """The folder of memory-mapped tables."""
        return Path(self.cache_dir).expanduser() if self.cache_dir else default_cache()


def open_profile(file: TableFile, columns: Sequence[str], memory: Memory | None = None) -> Profile:
    """Return what columns of a file hold; for a file too large for memory it is kept in the cache."""
    key = (_identity(file), tuple(columns))
    if memory is None or file.path.stat().st_size <= memory.memory_mb * MEGABYTE:
        return _once(_profiles, key, lambda: profile(file, columns))
    return _once(_profiles, key, lambda: kept_profile(file, columns, memory.path))


def kept_profile(file: TableFile, columns: Sequence[str], folder: Path) -> Profile:
    """Return what columns of a file hold, from `folder` if it was found before."""
    path = folder / f"{entry_name(file)}.profile.json"
    known = read_json(path)
    if known.get("sum") == _sum(known) and all(set(known["columns"].get(name, ())) == PROFILE for name in columns):
        found = {name: ColumnProfile(path=file.path, **known["columns"][name]) for name in columns}
        return Profile(known["rows"], found)
    fresh = profile(file, columns)
    kept = {name: {k: v for k, v in vars(each).items() if k != "path"} for name, each in fresh.columns.items()}
    with contextlib.suppress(OSError, RunFailure):  # reading the table reports a folder that cannot be written
        folder.mkdir(parents=True, exist_ok=True)
        written = {"rows": fresh.rows, "columns": kept}
        write_json(path, {**written, "sum": _sum(written)})
    return fresh


def _sum(found: Mapping[str, Any]) -> str:
    """Return the digest of a profile that is kept."""
    return sha256(json.dumps({key: found.get(key) for key in ("rows", "columns")}, sort_keys=True).encode())


def open_table(file: TableFile, layout: Layout, rows: int, memory: Memory) -> Table:
    """Return the rows of a file, in memory or memory-mapped."""
    key = (_identity(file), layout.numbers, layout.dates, layout.texts, tuple(layout.missing.items()), memory)
    if memory.holds(layout, rows):
        return _once(_tables, key, lambda: read_table(file, layout, rows))
    return _once(_tables, key, lambda: cached_table(file, layout, rows, memory.path / entry_name(file, layout)))


def _identity(file: TableFile) -> tuple[Any, ...]:
    stat = file.path.stat()
    return str(file.path.resolve()), stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, file.options


def _once(known: dict[Any, Any], key: object, make: Any) -> Any:  # noqa: ANN401  what `make` returns
    if key not in known:
        while len(known) >= MAX_OPEN:
            known.pop(next(iter(known)))
        known[key] = make()
    return known[key]
