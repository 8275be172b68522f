"""New sounds of a data source: a folder, one file, or a table, read without labels."""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mtl_cli.batch import Values
from mtl_cli.datasets.reading_base import NewRows, Reading, Writer
from mtl_cli.datasets.table_reading_base import TableReading
from mtl_cli.errors import UserError
from mtl_cli.sounds.checking import Clips
from mtl_cli.sounds.reading import ENDINGS
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.folder_files import files_below
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.reading import ReadOptions, TableFile

Encode = Callable[[Clips, Sequence[int]], Values]
"""Makes the model's inputs of some rows of clips."""


class SoundReading(Reading):
    """New clips: those of a table, which is written again with predictions, or the files of a folder by their names.

    Args:
        file: the table.
        check: returns its clips; told True, with those marked that cannot be used.
        encode: makes inputs of them.
        max_rows: clips that go through the model at once.
    """

    unit = "clip"

    def __init__(self, file: TableFile, check: Callable[[bool], Clips], encode: Encode, max_rows: int) -> None:
        super().__init__(file.path)
        self.file, self._check, self._encode, self.max_rows = file, check, encode, max_rows
        self._skip = False
        self._table = None if isinstance(file, Listing) else TableReading(file, lambda batch, path, first: {})

    def leave_out_bad(self) -> None:
        """Leave out clips that cannot be used, which the log counts."""
        self._skip = True

    @functools.cached_property
    def _clips(self) -> Clips:
        clips = self._check(self._skip)
        if clips.bad and len(clips.bad) == len(clips.names):
            raise UserError(f"{self.path}: none of the {len(clips.names)} sounds can be used.")
        return clips

    @property
    def num_rows(self) -> int:
        """Number of clips."""
        return len(self._clips.names)

    @property
    def columns(self) -> Sequence[str]:
        """Columns of the table; of a folder the path of the sound."""
        return self.file.columns

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the clips in order, at most `size` at a time."""
        if self._table is None:
            rows = self._clips.usable(np.arange(len(self._clips.names))).tolist()
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                yield NewRows(self._encode(self._clips, part), [self._clips.names[row] for row in part])
            return
        for batch in self._table.batches(size):
            numbers = np.array([int(name) for name in batch.names], dtype=np.int64)
            kept = self._clips.usable(numbers)
            if not len(numbers):
                yield batch
            elif len(kept):
                own = batch.own.take(pa.array(kept - numbers[0]))
                yield NewRows(self._encode(self._clips, kept.tolist()), [str(row) for row in kept.tolist()], own)

    def writer(self, target: Path, columns: Sequence[str]) -> Writer:
        """Return what writes the table again with further columns, or the paths of a folder with them."""
        return super().writer(target, columns) if self._table is None else self._table.writer(target, columns)


def listed_sounds(path: Path, options: ReadOptions, column: str) -> Listing:
    """Return a folder's sounds, or one sound, as a table of their paths.

    Raises:
        UserError: there is none.
    """
    folder = path if path.is_dir() else path.parent
    files = files_below(path, ENDINGS) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} holds no sounds ({', '.join(ENDINGS)}). Give a folder of sounds: input=DIR.")
    return Listing(path, options, [{column: file.relative_to(folder).as_posix()} for file in files], folder)
