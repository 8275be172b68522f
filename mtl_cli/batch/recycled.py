"""Memory of large batches that is used again.

A batch of images is tens of megabytes. Fresh memory for each one costs as much as decoding its images, since all of its
pages are new; and the holes that freed ones leave are nibbled at by small objects, so that a process of 300 MB grew to
2 GB in 60 batches.
"""

import math
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

MOST = 4
"""Free pieces of memory that are kept."""
Empty = Callable[[Sequence[int], torch.dtype], Tensor]
"""Returns a tensor of a shape and type whose numbers are to be written first."""


def lent(memory: Tensor, give_back: Callable[[], object]) -> Tensor:
    """Return a tensor on the bytes [N] of another, on the host; `give_back` is called once nothing reads them any more.

    What reads them is any tensor that shares the memory, and a graph that is to be differentiated.
    """
    bytes_ = memory.numpy()[:]  # an array of its own, which the memory of the tensor keeps alive
    weakref.finalize(bytes_, give_back).atexit = False
    return torch.from_numpy(bytes_)


class Recycled:
    """Memory of batches on the host; what nobody reads any more is handed out again."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return a tensor of a shape and type, whose numbers are to be written first."""
        size = math.prod(shape) * dtype.itemsize
        fitting = next((each for each in self._free if len(each) == size), None)
        self._free = [each for each in self._free if each is not fitting]
        memory = torch.empty(size, dtype=torch.uint8) if fitting is None else fitting

        def give_back() -> None:
            self._free = [*self._free[1 - MOST :], memory]

        return lent(memory, give_back).view(dtype).view(*shape)


def fresh(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor in new memory."""
    return torch.empty(list(shape), dtype=dtype)
