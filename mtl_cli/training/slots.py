"""Shared memory through which processes that read ahead hand over batches: a few slots, which are used in turns.

Memory of its own for each batch costs more than decoding its images, since every page is new to both processes, and a
file per tensor. A slot is used again once nothing in the training process reads its tensors any more, a graph that is
to be differentiated included. What does not fit is handed over in memory of its own.

1. The training process makes the slots before the others start, which inherit them. With each draw it names a free one.
2. A process that reads writes the tensors of its batch there, and sends their places (`Written`).
3. The training process takes the tensors from these places (`Slots.read`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtl_cli.batch import Sample
from mtl_cli.batch.recycled import fresh, lent

LINE = 64
"""Bytes to a multiple of which a tensor begins, as torch's own do."""
SMALLEST = 2**18
"""Bytes of a slot, at least."""


@dataclass(frozen=True)
class Place:
    """Where in a slot a tensor lies: its first byte, shape and type."""

    start: int
    shape: torch.Size
    dtype: torch.dtype


@dataclass(frozen=True)
class Written:
    """A batch in a slot: a sample with a `Place` for each tensor that lies there; `slot` None: none does."""

    sample: Sample
    slot: int | None

    def pin_memory(self) -> "Written":
        """Return the same rows in page-locked memory; torch's DataLoader calls this."""
        return Written(self.sample.pin_memory(), self.slot)


class Writer:
    """Writes tensors to a slot, bytes [N] in shared memory, one behind the other."""

    def __init__(self, memory: Tensor) -> None:
        self._memory, self._end = memory, 0

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return a tensor in the slot, or in memory of its own where the slot is full."""
        size = math.prod(shape) * dtype.itemsize
        if self._end + size > len(self._memory):
            return fresh(shape, dtype)
        start, self._end = self._end, -(-(self._end + size) // LINE) * LINE
        return self._memory[start : start + size].view(dtype).view(*shape)

    def written(self, tensor: Tensor) -> Place | Tensor:
        """Return the place of a tensor in the slot, where it is put now unless it lies there; in full ones itself."""
        first = self._memory.data_ptr()
        within = first <= tensor.data_ptr() < first + len(self._memory) and tensor.is_contiguous()
        own = tensor if within else self.empty(tensor.shape, tensor.dtype)
        start = own.data_ptr() - first
        if not 0 <= start < len(self._memory):
            return tensor.share_memory_()
        if own is not tensor:
            own.copy_(tensor)
        return Place(start, tensor.shape, tensor.dtype)


class Slots:
    """Slots of shared memory, of which each is free or lent to one batch.

    Args:
        number: slots.
        size: bytes of each; a multiple of `LINE` is made of it.

    Raises:
        RuntimeError: the shared memory is full.
    """

    def __init__(self, number: int, size: int) -> None:
        size = -(-max(size, SMALLEST) // LINE) * LINE
        self.memory = torch.empty(number, size, dtype=torch.uint8).share_memory_()  # [slots, bytes]
        self._free = list(range(number))

    def take(self) -> int | None:
        """Return a free slot, which is then taken; None where there is none."""
        return self._free.pop() if self._free else None

    def read(self, written: Written) -> Sample:
        """Return the batch of a slot, which is free again once nothing reads its tensors."""
        slot = written.slot
        if slot is None:
            return written.sample
        memory = lent(self.memory[slot], lambda: self._free.append(slot))

        def tensor(each: Place | Tensor) -> Tensor:
            if isinstance(each, Tensor):
                return each
            size = math.prod(each.shape) * each.dtype.itemsize
            return memory[each.start : each.start + size].view(each.dtype).view(each.shape)

        return written.sample.changed(tensor)
