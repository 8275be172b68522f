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
        self.shape, self.dtype = self._array.shape, self._array.dtype
        self._row = self._array.itemsize * self.shape[1]
        self._start = len(self._bytes) - self._array.nbytes

    def __len__(self) -> int:
        """Number of rows."""
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:  # noqa: ANN401  what indexes an array
        """Return some rows, or all rows of a column, once the blocks that hold them are known to be good."""
        gathered = isinstance(key, np.ndarray) and key.dtype == np.int64
        if not self._whole:
            rows = key if gathered else np.arange(len(self))[key[0] if isinstance(key, tuple) else key]
            try:
                self._check(rows)
            except Damaged as damage:
                if self._rebuild is None:
                    raise RunFailure(f"{damage}. The next run reads it again: continue by resume=RUN_DIR.") from damage
                self._open(self._rebuild())
                self._check(rows)
            self._whole = bool(self._known.all())
        if gathered:
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
    """A .npy file that grows block by block on space that is reserved before it is written.

    So a full disk is an error at once. Written through a sparse memory map it would end the process without a word.
    """

    def __init__(self, path: Path, dtype: type, columns: int) -> None:
        self.path, self.dtype, self.columns, self.rows = path, np.dtype(dtype), columns, 0

    def __enter__(self) -> Self:
        self._file = self.path.open("wb")
        self._write_header()
        self._reserved = self._end = self._file.tell()
        return self

    def append(self, block: np.ndarray) -> None:
        """Write the next rows [N, columns].

        Raises:
            OSError: the disk is full.
        """
        size = self.dtype.itemsize * math.prod(block.shape)
        if size > self._reserved - self._end and hasattr(os, "posix_fallocate"):
            more = max(size, BLOCK, self._end // 8)
            os.posix_fallocate(self._file.fileno(), self._end, more)
            self._reserved = self._end + more
        self._file.write(np.ascontiguousarray(block, dtype=self.dtype).data)
        self._end += size
        self.rows += len(block)

    def _write_header(self) -> None:
        """Write the header, whose length does not depend on the number of rows."""
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(self._file, {**header, "shape": (self.rows, self.columns)})

    def close(self) -> None:
        """Write the number of rows; nothing is done where that was done before."""
        if self._file.closed:
            return
        with self._file:
            self._file.truncate(self._end)
            self._file.seek(0)
            self._write_header()

    def __exit__(self, *failure: object) -> None:
        self.close()


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
