import numpy as np
import pytest

from mtl_cli.datasets.fashion_mnist import FashionMnist
from mtl_cli.errors import UserError
from tests.images._official_files import write_mnist


@pytest.mark.parametrize("packed", [False, True])
def test_official_files_are_read_and_a_tenth_is_held_out(tmp_path, packed):
    (train_images, _), (test_images, test_labels) = write_mnist(tmp_path / "FashionMNIST" / "raw", packed)
    source = FashionMnist("torchvision", str(tmp_path), 8)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [180, 20, 50]
    assert source.split("val").labels("label").bincount().tolist() == [2] * 10
    assert np.array_equal(source.split("test").images[:, 0].numpy(), test_images)
    assert np.array_equal(source.split("test").labels("label").numpy(), test_labels)
    kept = [image.numpy().tobytes() for name in ("train", "val") for image in source.split(name).images]
    assert sorted(kept) == sorted(image.tobytes() for image in train_images)


def test_class_names_are_the_published_ones(tmp_path):
    from torchvision.datasets import FashionMNIST

    write_mnist(tmp_path / "FashionMNIST" / "raw")
    names = FashionMnist("torchvision", str(tmp_path), 8).field_specs["label"].class_names
    assert [name.lower() for name in names] == [name.lower() for name in FashionMNIST.classes]


def test_the_packaged_source_says_how_to_get_the_files():
    with pytest.raises(UserError, match=r"fashion_mnist has no packaged copy.*data\.source=torchvision data\.root=DIR"):
        FashionMnist("packaged", None, 8)
