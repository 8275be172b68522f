"""Reads pickles that hold only plain data and NumPy arrays, such as CIFAR-10's batches.

An ordinary unpickler calls whatever a pickle names. Here reading takes two steps:

1. The unpickler knows five names, those that NumPy's own array pickles use, and refuses every other one. Each name
   stands for a stand-in of this file, which only keeps shape, type and bytes.
2. Arrays are made from what the stand-ins kept, and take their places.

So no code from a file, and no NumPy function with a file's arguments, ever runs.
"""

import pickle
import re
from pathlib import Path
from typing import IO, Any

import numpy as np

NUMBERS = re.compile(r"[biuf][1248]")
OBJECTS = re.compile(r"O[48]")


class PlainDtype:
    """Stand-in for `numpy.dtype`: numbers of 1, 2, 4 or 8 bytes, or objects."""

    def __init__(self, name: object, *_: object) -> None:
        self.name, self.order = str(name), "="
        if not NUMBERS.fullmatch(self.name) and not OBJECTS.fullmatch(self.name):
            raise pickle.UnpicklingError(f"arrays of type {self.name!r} are not read")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"a byte order is {state[1]!r}")
        self.order = state[1]

    def array(self, content: object, shape: tuple[int, ...], order: str) -> np.ndarray | list[Any]:
        """Return the array of this type; an array of objects is returned as a list."""
        if OBJECTS.fullmatch(self.name):
            return list(content) if isinstance(content, list | tuple) else []
        if isinstance(content, str):  # Python 2 pickled bytes as a string
            content = content.encode("latin-1")
        if not isinstance(content, bytes | bytearray):
            raise pickle.UnpicklingError("an array without bytes")
        numbers = np.frombuffer(content, dtype=np.dtype(self.order + self.name))
        return numbers.reshape(shape, order="F" if order == "F" else "C")


class PlainArray:
    """Stand-in for `numpy.ndarray`; `value` is the array once its state is read."""

    value: np.ndarray | list[Any] = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        if not isinstance(dtype, PlainDtype):
            raise pickle.UnpicklingError("an array without a type")
        self.value = dtype.array(content, shape, "F" if is_fortran else "C")


def reconstruct(*_: object) -> PlainArray:
    """Stand-in for NumPy's function that makes an empty array, whose state follows."""
    return PlainArray()


def from_buffer(content: object, dtype: PlainDtype, shape: tuple[int, ...], order: str) -> PlainArray:
    """Stand-in for NumPy's function that makes an array from bytes (pickle protocol 5)."""
    array = PlainArray()
    array.__setstate__((1, shape, dtype, order == "F", content))
    return array


def encode(text: str, encoding: str = "latin1") -> bytes:
    """Stand-in for `_codecs.encode`, with which Python 3 writes bytes in protocols below 3."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"the encoding {encoding!r} is not read")
    return text.encode("latin-1")


STAND_INS = {
    "numpy.ndarray": PlainArray,
    "numpy.dtype": PlainDtype,
    "numpy.core.multiarray._reconstruct": reconstruct,
    "numpy._core.multiarray._reconstruct": reconstruct,
    "numpy.core.numeric._frombuffer": from_buffer,
    "numpy._core.numeric._frombuffer": from_buffer,
    "_codecs.encode": encode,
}


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that knows only the stand-ins."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  as in the base class
        """Return the stand-in for a name.

        Raises:
            pickle.UnpicklingError: the name has no stand-in.
        """
        if f"{module}.{name}" not in STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not plain data")
        return STAND_INS[f"{module}.{name}"]


def read_plain_pickle(file: IO[bytes] | Path) -> Any:  # noqa: ANN401  dicts, lists, numbers, strings and arrays
    """Return the content of a pickle; strings of Python 2 are read as latin-1.

    Raises:
        ValueError: the file is not a pickle, is cut short, or asks for anything but plain data and arrays.
        OSError: the file cannot be opened.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return read_plain_pickle(opened)
    try:
        return without_stand_ins(PlainUnpickler(file, encoding="latin1").load())
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"{type(error).__name__}: {error}") from error


def without_stand_ins(value: Any) -> Any:  # noqa: ANN401
    """Return the value with arrays in place of their stand-ins."""
    if isinstance(value, PlainArray):
        return without_stand_ins(value.value)
    if isinstance(value, dict):
        return {without_stand_ins(key): without_stand_ins(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_stand_ins(item) for item in value)
    return value
