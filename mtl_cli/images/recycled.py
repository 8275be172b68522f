"""Memory of large batches that is used again.

A batch of images is tens of megabytes. Fresh memory for each one costs as much as decoding its images, since all of its
pages are new; and the holes that freed ones leave are nibbled at by small objects, so that a process of 300 MB grew to
2 GB in 60 batches.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

MOST = 4
"""Batches whose memory is kept."""


class Recycled:
    """Floats of batches on a CPU; what nobody reads any more is handed out again."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def empty(self, shape: Sequence[int]) -> Tensor:
        """Return a tensor float32 of a shape, whose numbers are to be written first."""
        self._kept = self._kept[-MOST:]
        free = next((each for each in self._kept if each.shape == torch.Size(shape) and is_free(each)), None)
        if free is None:
            free = torch.empty(list(shape))
            self._kept.append(free)
        return free.view(shape)


def is_free(kept: Tensor) -> bool:
    """Return whether no other tensor uses the memory of one, nor a graph that is to be differentiated."""
    storage = kept.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata) <= ALONE


def _alone() -> int:
    """Return how often the memory of a tensor counts as used that nobody else has."""
    tensor = torch.empty(1)
    storage = tensor.untyped_storage()
    return int(torch._C._storage_Use_Count(storage._cdata))


ALONE = _alone()
