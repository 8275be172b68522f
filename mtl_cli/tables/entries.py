"""Tables that are kept in a cache: one folder per file, layout and way of reading.

A folder is written under another name, sealed and renamed to the entry at the end. So an entry is whole or not there,
and where two processes write the same one, the slower uses that of the faster. A damaged one is made again.
"""

import hashlib
import json
import logging
import shutil
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.files import read_json
from mtl_cli.storage.sealed import Damaged, Seal, take_place
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.filling import NAMES, Filling, writing
from mtl_cli.tables.mapped import Rebuild, opened
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.store import Cells, Layout, Table

logger = logging.getLogger("mtl_cli")
CACHE_FORMAT = 3


class KeptTable(Table):
    """A table of a cache; a pickled one is opened from there again."""

    def __init__(self, path: Path, layout: Layout, cells: Cells, entry: Path) -> None:
        super().__init__(path, layout, cells)
        self._entry = entry

    def __reduce__(self) -> tuple[Any, ...]:
        return open_entry, (self.path, self.layout, self._entry)


def kept_table(file: TableFile, layout: Layout, entry: Path) -> Table:
    """Return a table whose matrices are memory-mapped from the folder `entry`, which is made if it is not there.

    An entry that is damaged is made again, also where that shows only when a block is first used.

    Raises:
        UserError: a cell is not what its column holds, or the folder cannot be written.
    """

    def made() -> Seal:
        try:
            return Seal.of(entry)
        except Damaged as damage:
            if entry.exists():
                logger.warning("%s. The table is read again.", damage)
            with closing(Filling(file, layout, 0.0, entry.parent)) as filling:
                filling.fill()
                keep(filling, file, entry)
            return Seal.of(entry)

    def rebuilt() -> Seal:
        logger.warning("%s is damaged. The table is read again.", entry)
        shutil.rmtree(entry, ignore_errors=True)
        return made()

    try:
        return open_entry(file.path, layout, entry, made(), rebuilt)
    except Damaged:
        return open_entry(file.path, layout, entry, rebuilt(), rebuilt)


def keep(filling: Filling, file: TableFile, entry: Path) -> None:
    """Make what was filled a cache entry, in the place of a damaged one.

    Raises:
        UserError: the folder cannot be written.
    """
    made = filling.seal_in()
    with writing(file, entry.parent):
        take_place(made, entry)


def open_entry(
    path: Path, layout: Layout, entry: Path, seal: Seal | None = None, rebuild: Rebuild | None = None
) -> Table:
    """Return the table of a cache entry.

    Raises:
        Damaged: it is not whole.
    """
    seal = Seal.of(entry) if seal is None else seal
    values = []
    for index in range(len(layout.texts)):
        seal.check(f"values_{index}.arrow")
        with pa.memory_map(str(entry / f"values_{index}.arrow")) as source:
            column = pa.ipc.open_file(source).read_all().column(0)
        values.append(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks())
    seal.check("centre.json")
    centre = np.array(read_json(entry / "centre.json")["centre"], dtype=np.float64)
    rounded, exact, codes = (opened(seal, name, rebuild) for name in NAMES)
    return KeptTable(path, layout, Cells(rounded, centre, exact, codes, values), entry)


def entry_name(file: TableFile, layout: Layout | None = None) -> str:
    """Return the name of what was read from a file: a hash of its content, of how it is read, and of the layout."""
    how = {"format": CACHE_FORMAT, "layout": asdict(layout) if layout else None, **asdict(file.options)}
    return hashlib.sha256((file.content_hash + json.dumps(how, sort_keys=True)).encode()).hexdigest()[:32]
