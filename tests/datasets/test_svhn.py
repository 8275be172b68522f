import numpy as np
import pytest
import torch
from scipy.io import savemat

from mtl_cli.datasets.svhn import MEAN, STD, Svhn
from mtl_cli.errors import UserError
from tests.images._official_files import write_svhn


@pytest.mark.parametrize("folder", ["SVHN", "."])
def test_digits_are_read_with_ten_as_zero(tmp_path, folder):
    (pixels, digits), (test_pixels, test_digits) = write_svhn(tmp_path / folder)
    source = Svhn("torchvision", str(tmp_path), 8)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [180, 20, 50]
    assert np.array_equal(source.split("test").images.numpy(), test_pixels)
    assert np.array_equal(source.split("test").labels("label").numpy(), test_digits)
    found = {
        image.numpy().tobytes(): int(label)
        for name in ("train", "val")
        for image, label in zip(source.split(name).images, source.split(name).labels("label"), strict=True)
    }
    assert found == {image.tobytes(): int(digit) for image, digit in zip(pixels, digits, strict=True)}
    image = source.split("test").__getitems__(torch.tensor([3])).inputs[0]
    expected = (test_pixels[3, 2, 5, 7] / 255 - MEAN[2]) / STD[2]
    assert image[2, 5, 7].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_bytes(b"no MATLAB file at all" * 20), "train_32x32.mat is not a usable file of SVHN"),
        (lambda path: savemat(path, {"X": np.zeros((2, 2), np.uint8), "y": [1, 2]}), "2 labels do not go with X"),
        (lambda path: savemat(path, {"y": [1, 2]}), "train_32x32.mat is not a usable file of SVHN"),
    ],
)
def test_a_bad_file_is_named(tmp_path, write, said):
    write_svhn(tmp_path)
    write(tmp_path / "train_32x32.mat")
    with pytest.raises(UserError, match=said):
        Svhn("torchvision", str(tmp_path), 8)
