"""New sounds of a data source: a folder, one file, or a table, read without labels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mtl_cli.batch import Values
from mtl_cli.datasets.reading_base import NewRows, Reading, Writer
from mtl_cli.datasets.table_reading_base import TableReading
from mtl_cli.errors import UserError
from mtl_cli.sounds.checking import Clips
from mtl_cli.sounds.reading import ENDINGS
from mtl_cli.tables.listing import Listing, files_below
from mtl_cli.tables.reading import ReadOptions, TableFile

Encode = Callable[[Clips, Sequence[int]], Values]
"""Makes the model's inputs of some rows of clips."""


class SoundReading(Reading):
    """New clips: those of a table, which is written again with predictions, or the files of a folder by their names.

    Args:
        file: the table.
        clips: its clips.
        encode: makes inputs of them.
        max_rows: clips that go through the model at once.
    """

    unit = "clip"

    def __init__(self, file: TableFile, clips: Clips, encode: Encode, max_rows: int) -> None:
        super().__init__(file.path)
        self.file, self._clips, self._encode, self.max_rows = file, clips, encode, max_rows
        self._table = None if isinstance(file, Listing) else TableReading(file, lambda batch, path, first: {})

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
            rows = self._clips.names
            for start in range(0, len(rows), size):
                names = rows[start : start + size]
                yield NewRows(self._encode(self._clips, range(start, start + len(names))), names)
            return
        for batch in self._table.batches(size):
            if not batch.names:
                yield batch
                continue
            numbers = [int(name) for name in batch.names]
            yield replace(batch, inputs=self._encode(self._clips, numbers))

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
