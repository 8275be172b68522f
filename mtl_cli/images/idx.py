"""Reads idx files, the format of MNIST: a magic number, the sizes as big-endian uint32, then the bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from mtl_cli.errors import UserError

UNSIGNED_BYTES = 0x08
MAX_SIZE = 2**30
"""Most bytes that a header may announce, because of damaged headers. The largest file of EMNIST has 0.5 GB."""


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """Return the bytes of an idx file, uint8 with `ndim` dimensions; a name that ends in .gz is unpacked.

    Raises:
        UserError: the file is missing, is of another format, or is shorter or longer than its header says.
    """
    try:
        with cast(IO[bytes], gzip.GzipFile(path)) if path.suffix == ".gz" else path.open("rb") as file:
            return parse_idx(file, path, ndim)
    except (OSError, EOFError, zlib.error) as error:
        raise broken(path, f"it cannot be read: {error}") from error


def parse_idx(file: IO[bytes], path: Path, ndim: int) -> np.ndarray:
    """Return the array in an open idx file; `path` is for messages."""
    header = file.read(4 + 4 * ndim)
    if len(header) < 4 + 4 * ndim:
        raise broken(path, f"its header has {len(header)} bytes, not {4 + 4 * ndim}")
    magic, *sizes = struct.unpack(f">{1 + ndim}I", header)
    expected = UNSIGNED_BYTES << 8 | ndim
    if magic != expected:
        raise broken(path, f"its magic number is {magic:#010x}, not {expected:#010x}")
    size = math.prod(sizes)
    announced = f"its header announces {' * '.join(map(str, sizes))} = {size} bytes"
    if size > MAX_SIZE:
        raise broken(path, f"{announced}, more than {MAX_SIZE}")
    content = file.read(size + 1)  # one byte more than announced shows a file that is too long
    if len(content) != size:
        found = f"only {len(content)} bytes follow" if len(content) < size else "more bytes follow"
        raise broken(path, f"{announced}, {found}")
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)


def broken(path: Path, reason: object, kind: str = "idx file") -> UserError:
    """Return the error for an official file that cannot be used."""
    return UserError(f"{path} is not a usable {kind}: {reason}. Delete it to have it downloaded anew, or replace it.")
