import numpy as np
import pytest
import torch

from mtl_cli.datasets.cifar100 import Cifar100
from mtl_cli.errors import UserError
from tests.images._official_files import random_rows, write_cifar100, write_python2_pickle


def test_images_have_a_class_and_its_group_and_names_from_the_files(tmp_path):
    (pixels, _), (test_pixels, test_labels) = write_cifar100(tmp_path)
    source = Cifar100("torchvision", str(tmp_path), 8)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [360, 40, 100]
    for name in ("train", "val", "test"):
        split = source.split(name)
        assert torch.equal(split.labels("group"), 7 * split.labels("label") % 20)
    assert np.array_equal(source.split("test").images.flatten(1).numpy(), test_pixels)
    assert np.array_equal(source.split("test").labels("label").numpy(), test_labels)
    kept = torch.cat([source.split(name).images for name in ("train", "val")]).flatten(1).numpy()
    assert sorted(image.tobytes() for image in kept) == sorted(image.tobytes() for image in pixels)
    assert source.field_specs["label"].class_names[99] == "kind 99"
    assert source.field_specs["group"].class_names == tuple(f"group {k}" for k in range(20))


def test_files_that_do_not_fit_together_are_named(tmp_path):
    write_cifar100(tmp_path)
    pixels, fine = random_rows(100, 100, seed=5, size=(3072,))
    fine = [int(label) for label in fine]
    folder = tmp_path / "cifar-100-python"
    write_python2_pickle(folder / "test", {"data": pixels, "fine_labels": fine, "coarse_labels": [0] * 100})
    with pytest.raises(UserError, match=r"test has a class in two groups\. Replace the files"):
        Cifar100("torchvision", str(tmp_path), 8)
    write_python2_pickle(folder / "meta", {"fine_label_names": ["a"], "coarse_label_names": ["b"]})
    with pytest.raises(UserError, match=r"meta names 1 classes and 1 groups, not 100 and 20"):
        Cifar100("torchvision", str(tmp_path), 8)
    write_python2_pickle(folder / "meta", {"fine_label_names": ["a"]})
    with pytest.raises(UserError, match=r"meta is not a usable CIFAR file of names"):
        Cifar100("torchvision", str(tmp_path), 8)
