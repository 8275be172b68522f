"""Memory of batches is used again when nothing reads it, and not before."""

import torch

from mtl_cli.batch.recycled import MOST, Recycled


def test_memory_that_is_read_is_never_handed_out_again():
    recycled = Recycled()
    first = recycled.empty((2, 3), torch.float32).fill_(1)
    place = first.data_ptr()
    part = first[1:]
    del first
    assert recycled.empty((2, 3), torch.float32).data_ptr() != place, "a part of it is read"
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * part).sum()
    del part
    assert recycled.empty((2, 3), torch.float32).data_ptr() != place, "a graph needs it"
    loss.backward()
    del loss
    again = recycled.empty((6,), torch.int32), recycled.empty((6,), torch.int32)
    assert place in {each.data_ptr() for each in again}, "another type of the same size"


def test_few_free_pieces_are_kept():
    recycled = Recycled()
    held = [recycled.empty((k + 1,), torch.float32) for k in range(3 * MOST)]
    assert len({each.data_ptr() for each in held}) == 3 * MOST
    held.clear()
    assert len(recycled._free) == MOST
