import hashlib

import numpy as np
import torch

from mtl_cli.images.digits import MEAN, STD, packaged_digits, read_digits
from mtl_cli.images.packaged import FOLDER
from tests.images._official_files import write_mnist


def test_packaged_digits_are_divided_in_proportion():
    splits = packaged_digits()
    assert {name: len(rows.labels) for name, rows in splits.items()} == {"train": 8000, "val": 1000, "test": 1000}
    assert splits["val"].labels.bincount().tolist() == [100, 113, 99, 103, 98, 86, 102, 107, 94, 98]
    assert torch.equal(splits["val"].labels.bincount(), splits["test"].labels.bincount())


def test_every_packaged_digit_is_in_one_split_with_its_own_label():
    shipped = np.load(FOLDER / "mnist_digits_10k.npz")
    expected = sorted(
        (image.tobytes(), int(label)) for image, label in zip(shipped["images"], shipped["labels"], strict=True)
    )
    found = [
        (image.numpy().tobytes(), int(label))
        for rows in packaged_digits().values()
        for image, label in zip(rows.images, rows.labels, strict=True)
    ]
    assert sorted(found) == expected


def test_the_split_is_the_same_for_ever():
    # Golden: BLAKE2b of the pixels and labels in order, computed when the rule was written down.
    digests = {}
    for name, rows in packaged_digits().items():
        content = rows.images.numpy().tobytes() + rows.labels.numpy().astype("<i8").tobytes()
        digests[name] = hashlib.blake2b(content, digest_size=8).hexdigest()
    assert digests == {"train": "3fc147a7f1900a4a", "val": "3729b18a5c9da3ff", "test": "85786234367c90c7"}


def test_the_constants_of_normalisation_fit_the_packaged_digits():
    pixels = packaged_digits()["train"].images.double() / 255
    assert abs(pixels.mean().item() - MEAN[0]) < 0.002
    assert abs(pixels.std().item() - STD[0]) < 0.002


def test_official_digits_keep_their_test_files_and_give_a_tenth_to_validation(tmp_path):
    (_, _), (test_images, test_labels) = write_mnist(tmp_path / "MNIST" / "raw")
    splits = read_digits(tmp_path)
    assert {name: len(rows.labels) for name, rows in splits.items()} == {"train": 180, "val": 20, "test": 50}
    assert np.array_equal(splits["test"].images[:, 0].numpy(), test_images)
    assert np.array_equal(splits["test"].labels.numpy(), test_labels)
    assert splits["val"].labels.bincount().tolist() == [2] * 10
