"""Memory of batches is used again when nothing reads it, and not before."""

import torch

from mtl_cli.images.recycled import MOST, Recycled


def test_memory_that_is_read_is_never_handed_out_again():
    recycled = Recycled()
    first = recycled.empty((2, 3))
    place = first.data_ptr()
    part = first[1:]
    del first
    assert recycled.empty((2, 3)).data_ptr() != place, "a part of it is read"
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * part).sum()
    del part
    assert recycled.empty((2, 3)).data_ptr() != place, "a graph needs it"
    loss.backward()
    del loss
    assert place in {recycled.empty((2, 3)).data_ptr() for _ in range(1)}


def test_few_pieces_are_kept():
    recycled = Recycled()
    held = [recycled.empty((k + 1,)) for k in range(3 * MOST)]
    assert len({each.data_ptr() for each in held}) == 3 * MOST
    assert len(recycled._kept) <= MOST + 1
