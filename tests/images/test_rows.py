import numpy as np
import pytest
import torch

from mtl_cli.images.rows import MemoryDataset

PIXELS = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (20, 3, 5, 4)).astype(np.uint8))
LABELS = torch.arange(20) % 4
MEAN, STD = (0.5, 0.25, 0.1), (0.2, 0.3, 0.4)


def make():
    return MemoryDataset(PIXELS, {"label": LABELS, "other": LABELS.flip(0)}, MEAN, STD)


def test_images_are_normalised_channel_by_channel():
    indices = torch.tensor([3, 0, 19, 3])
    sample = make().__getitems__(indices)
    expected = PIXELS[indices].double() / 255
    for channel in range(3):
        expected[:, channel] = (expected[:, channel] - MEAN[channel]) / STD[channel]
    assert sample.inputs.dtype == torch.float32
    torch.testing.assert_close(sample.inputs.double(), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(sample.fields["label"], LABELS[indices])
    assert torch.equal(sample.fields["other"], LABELS.flip(0)[indices])


def test_a_batch_equals_its_rows_fetched_one_by_one():
    dataset, indices = make(), torch.tensor([7, 2, 2, 11])
    rows = [dataset.__getitems__(index.unsqueeze(0)).inputs for index in indices]
    assert torch.equal(torch.cat(rows), dataset.__getitems__(indices).inputs)


def test_fetching_leaves_the_pixels_as_they_are():
    dataset, before = make(), PIXELS.clone()
    dataset.__getitems__(torch.arange(20)).inputs.zero_()
    assert torch.equal(dataset.images, before)
    assert len(dataset) == 20


def test_a_copy_on_a_device_holds_its_tensors_there():
    copy = make().to(torch.device("meta"))
    assert copy.images.device.type == "meta"
    assert copy.__getitems__(torch.tensor([1, 2])).inputs.device.type == "meta"
    same = make().to(torch.device("cpu"))
    indices = torch.arange(20)
    assert torch.equal(same.__getitems__(indices).inputs, make().__getitems__(indices).inputs)


def test_the_labels_of_a_split_are_given_as_a_whole():
    assert torch.equal(make().labels("label"), LABELS)


def test_a_row_that_does_not_exist_is_refused():
    with pytest.raises(IndexError):
        make().__getitems__(torch.tensor([20]))
