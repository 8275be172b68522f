import pytest
import torch

from mtl_cli.batch import InputSpec
from mtl_cli.datasets.mnist_digits import MnistDigits
from mtl_cli.errors import UserError
from tests.images._official_files import write_mnist


def test_packaged_digits_come_as_normalised_images_with_a_label():
    source = MnistDigits("packaged", None, 32)
    assert source.input_spec == InputSpec("image", (1, 28, 28))
    assert source.field_specs["label"].class_names == tuple("0123456789")
    assert source.field_specs["label"].num_classes == 10
    assert source.batch_size == 32
    train = source.split("train")
    sample = train.__getitems__(torch.arange(len(train)))
    assert abs(sample.inputs.mean().item()) < 0.01
    assert abs(sample.inputs.std().item() - 1) < 0.01
    assert set(sample.fields) == {"label"}
    assert source.example().inputs.shape == (2, 1, 28, 28)


def test_building_it_twice_gives_the_same_rows():
    first, second = (MnistDigits("packaged", None, 32).split("val") for _ in range(2))
    indices = torch.arange(1000)
    assert torch.equal(first.__getitems__(indices).inputs, second.__getitems__(indices).inputs)


def test_official_files_replace_the_packaged_copy(tmp_path):
    (_, _), (images, _) = write_mnist(tmp_path / "MNIST" / "raw")
    test = MnistDigits("torchvision", str(tmp_path), 32).split("test")
    found = test.__getitems__(torch.tensor([4])).inputs[0, 0].double()
    torch.testing.assert_close(
        found, (torch.from_numpy(images[4]).double() / 255 - 0.1307) / 0.3081, rtol=1e-6, atol=1e-6
    )


def test_a_bad_option_is_refused_before_anything_is_read():
    with pytest.raises(ValueError, match="batch_size is 0"):
        MnistDigits("packaged", None, 0)
    with pytest.raises(UserError, match="Did you mean 'packaged'"):
        MnistDigits("package", None, 8)
