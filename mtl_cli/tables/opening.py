"""Tables that are open: each file is read once in a process, however many jobs and folds use it.

1. A file is known by its path, time, size and the options that it is read with (`_identity`). What was read before
   under the same identity is used again; where more than MAX_OPEN tables would be open, the oldest is forgotten.
2. A table that fits into `memory_mb` is read into memory. A larger one is written to the cache once, and from then on
   memory-mapped from there, also by other processes.
3. What the columns of a file hold (`Profile`) decides how they are read. The first rows show what it probably is, so
   that one pass finds it and reads the rows (`first_pass`), numbers of CSV as such (`plain_numbers`). Only where later
   rows hold something else, or a cell is at fault, a second pass reads them. For a large file the profile is kept in
   the cache too, under a name that depends on the content, so that a file that changed is read again.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mtl_cli.config.options import Options
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.files import read_json, sha256, write_json
from mtl_cli.storage.cache_folder import default_cache
from mtl_cli.storage.memory import give_back
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.csv_rows import NotFloats
from mtl_cli.tables.entries import entry_name, keep, kept_table
from mtl_cli.tables.filling import Filling, read_table
from mtl_cli.tables.profile import ColumnProfile, Profile, Profiling, as_floats
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.store import Layout, Table

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
        return rows * layout.row_bytes <= self.memory_mb * MEGABYTE

    @property
    def path(self) -> Path:
        """The folder of memory-mapped tables."""
        return Path(self.cache_dir).expanduser() if self.cache_dir else default_cache()


Plan = Callable[[Profile], Layout]
"""Says how columns are read, by what they hold.

Raises:
    UserError: they cannot be read in that way.
"""


def open_table(file: TableFile, columns: Sequence[str], plan: Plan, memory: Memory) -> Table:
    """Return the rows of a file, in memory or memory-mapped, read as `plan` says, which sees what `columns` hold.

    Raises:
        UserError: the file, or a cell of it, cannot be read; or the plan fails.
    """
    key = (_identity(file), tuple(columns))
    found, filling = _profiles.get(key) or kept_profile(file, columns, memory), None
    try:
        if found is None:
            found, filling = first_pass(file, columns, plan, memory)
            keep_profile(file, found, memory)
        profile = _once(_profiles, key, lambda: found)
        layout = plan(profile)
        if filling is not None and filling.layout != layout:
            filling.close()
            filling = None
        as_read = (layout.numbers, layout.dates, layout.texts, tuple(layout.missing.items()), layout.rounded)
        return _once(_tables, (key[0], as_read, memory), lambda: read_rows(file, layout, profile.rows, memory, filling))
    finally:
        if filling is not None:
            filling.close()
        pa.default_memory_pool().release_unused()
        give_back()


def first_pass(
    file: TableFile, columns: Sequence[str], plan: Plan, memory: Memory, as_text: bool = False
) -> tuple[Profile, Filling | None]:
    """Return what columns hold and, unless the first rows led astray or a cell is at fault, the rows themselves.

    Columns of CSV whose text says no more than the number are read as numbers, unless all are read `as_text`.

    Raises:
        UserError: the file cannot be read.
    """
    file.check_bytes()
    profiling = Profiling(file, columns)
    layout, floats = guessed(file, profiling, plan)
    filling = None if layout is None else Filling(file, layout, memory.memory_mb * MEGABYTE, memory.path)
    wanted = list(dict.fromkeys((*profiling.scanned, *(layout.columns if layout else ())))) or file.columns[:1]
    try:
        for first, batch in file.batches_with(() if as_text else floats, wanted):
            seen = profiling.add(first, batch)
            if filling is not None:
                try:
                    filling.add(first, batch, seen)
                except UserError:  # a second pass says what is at fault, if it is not the guess
                    filling.close()
                    filling = None
    except BaseException as error:
        if filling is not None:
            filling.close()
        if isinstance(error, NotFloats):
            return first_pass(file, columns, plan, memory, as_text=True)
        raise
    return profiling.found(), filling


def guessed(file: TableFile, profiling: Profiling, plan: Plan) -> tuple[Layout | None, list[str]]:
    """Return how a file is read if all of its rows hold what the first do, and which columns are `plain_numbers` then.

    Where that cannot be, the layout is None.
    """
    head = profiling.fresh()
    if head.scanned:
        for first, batch in file.batches(head.scanned):
            head.add(first, batch)
            break
    found = head.found()
    try:
        layout = plan(found)
    except UserError:
        return None, []
    return layout, plain_numbers(file, layout, found)


def plain_numbers(file: TableFile, layout: Layout, found: Profile) -> list[str]:
    """Return columns of CSV that can be read as numbers, without their text, if all rows hold what the first do.

    Text would tell codes such as 007 from numbers. It need not where a column has a fraction, or was not looked at.
    """
    if not file.is_text or not file.options.notation.is_plain:
        return []
    looked = found.columns
    names = [n for n in layout.numbers if n not in layout.texts and (n not in looked or looked[n].fractions)]
    for _, batch in file.batches(names) if names else ():
        return [name for name in names if as_floats(batch.column(name)) is not None]
    return []


def read_rows(file: TableFile, layout: Layout, rows: int, memory: Memory, filling: Filling | None) -> Table:
    """Return a table of as many rows, which `filling` may hold already.

    Raises:
        UserError: a cell is not what its column holds, or the cache cannot be written.
    """
    if not memory.holds(layout, rows):
        entry = memory.path / entry_name(file, layout)
        if filling is not None:
            keep(filling, file, entry)
        return kept_table(file, layout, entry)
    return read_table(file, layout) if filling is None else Table(file.path, layout, filling.joined())


def kept_profile(file: TableFile, columns: Sequence[str], memory: Memory) -> Profile | None:
    """Return what columns of a file too large for memory hold, if that was found before."""
    if file.path.stat().st_size <= memory.memory_mb * MEGABYTE:
        return None
    known = read_json(memory.path / f"{entry_name(file)}.profile.json")
    if known.get("sum") != _sum(known) or any(set(known["columns"].get(name, ())) != PROFILE for name in columns):
        return None
    return Profile(known["rows"], {name: ColumnProfile(path=file.path, **known["columns"][name]) for name in columns})


def keep_profile(file: TableFile, found: Profile, memory: Memory) -> None:
    """Keep what columns hold in the cache, of a file too large for memory."""
    if file.path.stat().st_size <= memory.memory_mb * MEGABYTE:
        return
    columns = {name: {k: v for k, v in vars(each).items() if k != "path"} for name, each in found.columns.items()}
    written = {"rows": found.rows, "columns": columns}
    with contextlib.suppress(OSError, RunFailure):  # reading the table reports a folder that cannot be written
        memory.path.mkdir(parents=True, exist_ok=True)
        write_json(memory.path / f"{entry_name(file)}.profile.json", {**written, "sum": _sum(written)})


def _sum(found: Mapping[str, Any]) -> str:
    """Return the digest of a profile that is kept."""
    return sha256(json.dumps({key: found.get(key) for key in ("rows", "columns")}, sort_keys=True).encode())


def _identity(file: TableFile) -> tuple[Any, ...]:
    stat = file.path.stat()
    return str(file.path.resolve()), stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, file.options


def _once(known: dict[Any, Any], key: object, make: Any) -> Any:  # noqa: ANN401  what `make` returns
    if key not in known:
        while len(known) >= MAX_OPEN:
            known.pop(next(iter(known)))
        known[key] = make()
    return known[key]
