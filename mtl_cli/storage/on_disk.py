"""Tensors that grow with the rows of a split, in files without a name: their memory can be taken when others need it.

Below `FROM` bytes, and where no space can be reserved in the folder of temporary files (TMPDIR), they are in memory.
"""

import os
import tempfile
from collections.abc import Sequence

import torch
from torch import Tensor

FROM = 1 << 20
MANY = 256
"""Tensors of rows that are joined: a small one takes a kilobyte beside its numbers."""


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor whose numbers are still to be written."""
    size = torch.Size(shape).numel() * dtype.itemsize
    if size >= FROM and hasattr(os, "posix_fallocate"):
        try:
            file, path = tempfile.mkstemp(prefix="mtl-rows-")
        except OSError:
            return torch.empty(*shape, dtype=dtype)
        try:
            os.posix_fallocate(file, 0, size)  # written to a full disk, a memory map would end the process
            return torch.from_file(path, shared=True, size=size // dtype.itemsize, dtype=dtype).view(*shape)
        except (OSError, RuntimeError):
            pass
        finally:
            os.close(file)
            os.unlink(path)
    return torch.empty(*shape, dtype=dtype)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return tensors of rows [B, ...] as one [N, ...]; `parts` is not empty."""
    if len(parts) == 1:
        return parts[0]
    found = empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    return torch.cat(list(parts), out=found)


def taken(rows: Tensor, places: Tensor) -> Tensor:
    """Return the rows [B, ...] at some places [B]."""
    return torch.index_select(rows, 0, places, out=empty((len(places), *rows.shape[1:]), rows.dtype))


def pack(parts: list[Tensor]) -> None:
    """Join the last of many tensors of rows on the host, in place, so that few are left: about log₂ of their number."""
    if len(parts) % min(MANY, max(2, FROM // max(1, parts[-1].nbytes))):
        return
    last, rows = len(parts) - 1, len(parts[-1])
    while last and len(parts[last - 1]) <= rows:
        last -= 1
        rows += len(parts[last])
    parts[last:] = [joined(parts[last:])]
