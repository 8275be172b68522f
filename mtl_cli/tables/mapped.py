"""A matrix of a cache, memory-mapped: every block of its file is compared with its checksum when it is first used."""

import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from mtl_cli.errors import RunFailure
from mtl_cli.storage.sealed import BLOCK, Damaged, Seal

Rebuild = Callable[[], Seal]
"""Makes a damaged entry of a cache again."""


class MappedMatrix:
    """Rows of a .npy file [N, columns] in a sealed folder; indexed as an array is, by rows or as [:, column].

    Args:
        seal: what the files of the folder hold.
        name: the file.
        rebuild: makes the folder again where a block is damaged; None ends the run in that case.
    """

    def __init__(self, seal: Seal, name: str, rebuild: Rebuild | None = None) -> None:
        self._name, self._rebuild = name, rebuild
        self._open(seal)

    def _open(self, seal: Seal) -> None:
        path = seal.folder / self._name
        self._path, self._sums = path, seal.sums[self._name]
        self._known = np.zeros(len(self._sums), dtype=bool)
        self._bytes = np.memmap(path, np.uint8, "r")
        self._compare(np.zeros(1, dtype=np.int64))  # the header, which numpy is about to read
        self._array = np.asarray(np.load(path, mmap_mode="r"))  # a plain view: a memmap takes 5 µs more to index
        self._whole = False
        self.shape = self._array.shape
        self._row = self._array.itemsize * self.shape[1]
        self._start = len(self._bytes) - self._array.nbytes

    def __len__(self) -> int:
        """Number of rows."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:  # noqa: ANN401  what indexes an array
        """Return some rows, or all rows of a column, once the blocks that hold them are known to be good."""
        if not self._whole:
            rows = np.arange(len(self))[key[0] if isinstance(key, tuple) else key]
            try:
                self._check(rows)
            except Damaged as damage:
                if self._rebuild is None:
                    raise RunFailure(f"{damage}. The next run reads it again: continue by resume=RUN_DIR.") from damage
                self._open(self._rebuild())
                self._check(rows)
            self._whole = bool(self._known.all())
        if isinstance(key, np.ndarray) and key.dtype == np.int64:
            return self._array.take(key, axis=0)  # a third of the time of an index
        return self._array[key]

    def _check(self, rows: np.ndarray) -> None:
        touched = np.full(len(self._sums), self._row > BLOCK)
        first = self._start + np.atleast_1d(rows) * self._row
        for byte in (first, first + self._row - 1):
            touched[byte // BLOCK] = True
        self._compare(np.flatnonzero(touched))

    def _compare(self, blocks: np.ndarray) -> None:
        """Compare blocks, by number, that are not known to be good yet.

        Raises:
            Damaged: one is not what was written.
        """
        for block in blocks[~self._known[blocks]].tolist():
            if zlib.crc32(self._bytes[block * BLOCK : (block + 1) * BLOCK].data) != self._sums[block]:
                raise Damaged(f"{self._path} is damaged")
            self._known[block] = True


Matrix = np.ndarray | MappedMatrix
"""A matrix in memory, or one that is memory-mapped."""


class MatrixFile:
    """A .npy file that is written from its first row to its last, on space that is reserved before.

    So a full disk is an error at once. Written through a sparse memory map it would end the process without a word.
    """

    def __init__(self, path: Path, dtype: type, shape: tuple[int, int]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), shape
        self._rows = 0

    def __enter__(self) -> Self:
        self._file = self.path.open("wb")
        try:
            header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
            np.lib.format.write_array_header_1_0(self._file, header)
            self._file.flush()
            size = self.dtype.itemsize * math.prod(self.shape)
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, self._file.tell() + size)
        except BaseException:
            self._file.close()
            raise
        return self

    def __setitem__(self, rows: slice, block: np.ndarray) -> None:
        """Write the next rows."""
        assert rows.start == self._rows, "rows come in order"
        self._file.write(np.ascontiguousarray(block, dtype=self.dtype).tobytes())
        self._rows = rows.stop

    def __exit__(self, *failure: object) -> None:
        self._file.close()


def opened(seal: Seal, name: str, rebuild: Rebuild | None = None) -> Matrix:
    """Return a matrix of a sealed folder: memory-mapped, or read where it is small or has no bytes to map.

    Raises:
        Damaged: it is small and damaged.
    """
    path: Path = seal.folder / name
    if seal.sizes[name] >= BLOCK:
        return MappedMatrix(seal, name, rebuild)
    seal.check(name)
    return np.load(path)
