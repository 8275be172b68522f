"""Batches in slots of shared memory are what was written, and nothing writes over one that is read."""

import torch

from mtl_cli.batch import Sample
from mtl_cli.training.slots import SMALLEST, Place, Slots, Writer, Written


def written(slots, sample):
    slot = slots.take()
    writer = Writer(slots.memory[slot])
    own = writer.empty((2, 3, 4), torch.uint8).fill_(7)
    return Written(Sample({"own": own, **sample.inputs}, sample.fields, sample.counts).changed(writer.written), slot)


def test_a_batch_comes_back_as_it_was_wherever_its_tensors_lay():
    slots = Slots(1, 0)
    inputs = {"large": torch.arange(SMALLEST), "turned": torch.arange(6.0).view(2, 3).T, "none": torch.zeros(0, 3)}
    sample = Sample(inputs, {"label": torch.tensor([True, False])}, {"task": torch.tensor([1, 2], dtype=torch.int32)})
    message = written(slots, sample)
    assert isinstance(message.sample.inputs["own"], Place)
    assert message.sample.inputs["own"].start == 0, "what was written to the slot is not copied"
    assert message.sample.inputs["large"].is_shared(), "what does not fit has memory of its own"
    found = slots.read(message)
    assert (found.inputs["own"] == 7).all()
    for name, value in inputs.items():
        assert torch.equal(found.inputs[name], value)
    assert torch.equal(found.fields["label"], sample.fields["label"])
    assert torch.equal(found.counts["task"], sample.counts["task"])


def test_a_slot_is_free_again_once_nothing_reads_its_batch():
    slots = Slots(1, 0)
    found = slots.read(written(slots, Sample({}, {"label": torch.ones(3)})))
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * found.fields["label"]).sum()
    del found
    assert slots.take() is None, "a graph needs the label"
    loss.backward()
    del loss
    assert slots.take() == 0
