"""Named arrays of one file or folder: a .npz file is read into memory, a folder of .npy files is memory-mapped."""

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError, nearest
from mtl_cli.tables.cells import MICROSECONDS_A_DAY
from mtl_cli.tables.place import Place, canonical

DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class ArrayTable:
    """Arrays with one row per sample; a field of two dimensions [N, D] also has the columns `field.0` … `field.D-1`."""

    def __init__(self, path: Path, arrays: Mapping[str, np.ndarray], mapped: Mapping[str, Path] | None = None) -> None:
        self.path, self.arrays = path, dict(arrays)
        self._mapped = {name: Unchanged(file) for name, file in (mapped or {}).items()}

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.arrays.values())))

    def array(self, name: str) -> np.ndarray:
        """Return a field [N, ...].

        Raises:
            UserError: there is no array of that name.
        """
        if name not in self.arrays:
            raise UserError(
                f"{self.path} has no array '{name}'.{nearest(name, self.arrays)} Its arrays: {', '.join(self.arrays)}."
            )
        return self.arrays[name]

    def has(self, name: str) -> bool:
        """Return True for a field, or a column of one."""
        field, _, index = name.rpartition(".")
        array = self.arrays.get(field)
        return name in self.arrays or (array is not None and index.isdigit() and int(index) < array.shape[1])

    def require(self, names: Sequence[str]) -> None:
        """Refuse a file that lacks any of these columns.

        Raises:
            UserError: a column is missing; it names the first.
        """
        for name in names:
            if not self.has(name):
                self.array(name)

    def columns_of(self, name: str) -> list[str]:
        """Return the columns of a field: itself, or one for each of its D.

        Raises:
            UserError: it has more than two dimensions.
        """
        array = self.array(name)
        if array.ndim > 2:
            raise UserError(f"{self.path}, array '{name}' has shape {array.shape}; a label field is [N] or [N, D].")
        return [name] if array.ndim == 1 else [f"{name}.{index}" for index in range(array.shape[1])]

    def column(self, name: str) -> np.ndarray:
        """Return a column [N]."""
        if name in self.arrays:
            return self.arrays[name]
        field, _, index = name.rpartition(".")
        return self.array(field)[:, int(index)]

    def number(self, name: str) -> np.ndarray:
        """Return a column float64 [N]; times are days since 1970.

        Raises:
            UserError: it holds no numbers, or infinite ones.
        """
        values = self.column(name)
        if values.dtype.kind == "M":
            days = values.astype("datetime64[us]").astype(np.int64) / MICROSECONDS_A_DAY
            return np.where(np.isnat(values), np.nan, days)
        if values.dtype.kind not in "iufb":
            raise self.place(name).error(0, f"'{values[0]}' is not a number", "Use kind: class for names.")
        values = values.astype(np.float64)
        if (endless := np.flatnonzero(np.isinf(values))).size:
            raise infinite(self.place(name), int(endless[0]))
        return values

    def text(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return a column as codes int64 [N], -1 where it is NaN or an empty text, and the values that they number."""
        values, codes = np.unique(self.column(name), return_inverse=True)
        known: dict[str, int] = {}
        absent = [value != value or str(value) == "" for value in values]  # NaN is not itself
        lookup = [
            -1 if gone else known.setdefault(canonical(str(value)), len(known))
            for value, gone in zip(values.tolist(), absent, strict=True)
        ]
        return np.array(lookup, dtype=np.int64)[codes.reshape(-1)], list(known)

    def watched(self, name: str) -> "Unchanged | None":
        """Return what notices that the file of a memory-mapped array changed; None for an array in memory."""
        return self._mapped.get(name)

    def place(self, name: str) -> Place:
        """Return where a column stands, for messages."""
        return Place(self.path, name)


class Unchanged:
    """Notices that a memory-mapped file is no longer the one that was opened: reading beyond its end ends the process.

    Raises:
        UserError: when called, if its size or time is another.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._stamp = path, self._now(path)

    def __call__(self) -> None:
        """Compare size and time."""
        if self._now(self.path) != self._stamp:
            raise UserError(
                f"{self.path} changed while it was in use. Arrays of .npy files are read from there in every step: put "
                "the file back and continue with resume=RUN_DIR, or write new data to another file."
            )

    @staticmethod
    def _now(path: Path) -> tuple[int, int] | None:
        try:
            found = os.stat(path)
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns


def infinite(place: Place, row: int) -> UserError:
    """Return the error for a row with an infinite value."""
    return place.error(row, "a value is infinite", "Fix it, or make it NaN: missing.")


def read_arrays(path: Path, single: str | None = None) -> ArrayTable:
    """Return the arrays of a .npz file, or of a folder of .npy files, which are memory-mapped.

    With `single`, the path may also be that of one .npy file, whose array gets that name.

    Raises:
        UserError: the file is damaged, holds Python objects, or its arrays differ in their number of rows.
    """
    mapped: dict[str, Path] = {}
    if path.is_dir():
        mapped = {each.stem: each for each in sorted(path.glob("*.npy"))}
    elif single is not None and path.suffix.lower() == ".npy":
        mapped = {single: path}
    try:
        if mapped or path.is_dir():
            arrays = {name: np.load(each, mmap_mode="r", allow_pickle=False) for name, each in mapped.items()}
        else:
            # The file is opened here because np.load leaves it open when it is not an archive.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except (*DAMAGE, AttributeError, TypeError) as error:
        raise UserError(f"{path} is not a .npz file, or is damaged: {error}. Write it by numpy.savez.") from error
    if not arrays:
        raise UserError(f"{path} holds no arrays. Give a .npz file, or a folder of .npy files.")
    for name, array in arrays.items():
        if array.ndim == 0:
            raise UserError(f"{path}, array '{name}' is a single value; every array has one row per sample.")
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UserError(
            f"{path}: its arrays differ in their number of rows: {listed}. Every array has one row per sample."
        )
    return ArrayTable(path, arrays, mapped)
