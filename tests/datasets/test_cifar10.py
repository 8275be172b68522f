import os
import pickle

import numpy as np
import pytest
import torch

from mtl_cli.datasets.cifar10 import MEAN, STD, Cifar10
from mtl_cli.errors import UserError
from tests.images._official_files import write_cifar10


def write_python3_pickle(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({key.encode(): item for key, item in value.items()}))


def test_batches_are_joined_and_a_tenth_is_held_out(tmp_path):
    (pixels, _), (test_pixels, test_labels) = write_cifar10(tmp_path)
    source = Cifar10("torchvision", str(tmp_path), 8)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [180, 20, 20]
    assert source.split("val").labels("label").bincount().tolist() == [2] * 10
    kept = torch.cat([source.split(name).images for name in ("train", "val")]).flatten(1).numpy()
    assert sorted(image.tobytes() for image in kept) == sorted(image.tobytes() for image in pixels)
    assert np.array_equal(source.split("test").images.flatten(1).numpy(), test_pixels)
    assert np.array_equal(source.split("test").labels("label").numpy(), test_labels)


def test_pixels_are_three_planes_in_rows_normalised_by_channel(tmp_path):
    _, (pixels, _) = write_cifar10(tmp_path)
    image = Cifar10("torchvision", str(tmp_path), 8).split("test").__getitems__(torch.tensor([3])).inputs[0]
    # CIFAR-10's page: 1024 red bytes, then green, then blue, each row by row
    for channel, y, x in ((0, 0, 0), (0, 0, 31), (1, 5, 7), (2, 31, 31)):
        byte = int(pixels[3][1024 * channel + 32 * y + x])
        assert image[channel, y, x].item() == pytest.approx((byte / 255 - MEAN[channel]) / STD[channel], abs=1e-5)


def test_batches_pickled_by_python_3_are_read_too(tmp_path):
    write_cifar10(tmp_path / "2")
    write_cifar10(tmp_path / "3", writer=write_python3_pickle)
    old, new = (Cifar10("torchvision", str(tmp_path / folder), 8).split("train").images for folder in ("2", "3"))
    assert torch.equal(old, new)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "EOFError"),
        (b"no pickle", "UnpicklingError"),
        (pickle.dumps([1, 2]), "list"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}), "labels"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}), "1 labels do not go with its data"),
        (pickle.dumps({"data": np.zeros((2, 3071), np.uint8), "labels": [1, 2]}), "do not go with its data"),
        (pickle.dumps({"data": np.zeros((2, 3072)), "labels": [1, 2]}), "do not go with its data"),
        (pickle.dumps({"data": Harmful(), "labels": [1]}, protocol=2), "mkdir, which is not plain data"),
    ],
)
def test_a_bad_batch_is_named_and_nothing_of_it_runs(tmp_path, monkeypatch, content, complaint):
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(content)
    with pytest.raises(UserError, match=r"data_batch_3 is not a usable CIFAR batch: ") as caught:
        Cifar10("torchvision", str(tmp_path), 8)
    assert complaint in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_a_truncated_batch_is_named(tmp_path):
    write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match="test_batch is not a usable CIFAR batch"):
        Cifar10("torchvision", str(tmp_path), 8)


def test_the_packaged_source_says_how_to_get_the_files():
    with pytest.raises(UserError, match=r"cifar10 has no packaged copy.*data\.source=torchvision data\.root=DIR"):
        Cifar10("packaged", None, 8)
