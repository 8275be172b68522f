import numpy as np
import pytest
import torch

from mtl_cli.datasets.multi_mnist import MEAN, PAIR_SEEDS, STD, MultiMnist, overlay, pairs
from mtl_cli.images.digits import packaged_digits
from tests.images._official_files import linear_resize, write_mnist


@pytest.fixture(scope="module")
def source():
    return MultiMnist("packaged", None, 16)


def test_composites_equal_a_slow_composition(source):
    digits = packaged_digits()["val"]
    left, right = pairs(1000, PAIR_SEEDS["val"])
    for row in (0, 1, 500, 999):
        canvas = np.zeros((36, 36))
        first, second = digits.images[left[row], 0].numpy(), digits.images[right[row], 0].numpy()
        for y in range(28):
            for x in range(28):
                canvas[y, x] = first[y, x]
        for y in range(28):
            for x in range(28):
                canvas[y + 8, x + 8] = max(canvas[y + 8, x + 8], second[y, x])
        found = source.split("val").images[row, 0].numpy()
        assert np.abs(found - linear_resize(canvas, 28, 28)).max() <= 0.51


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_each_split_is_composed_of_its_own_digits_each_once_left_and_once_right(source, name):
    digits, split = packaged_digits()[name], source.split(name)
    left, right = pairs(len(digits.labels), PAIR_SEEDS[name])
    everyone = torch.arange(len(digits.labels))
    assert torch.equal(left.sort().values, everyone)
    assert torch.equal(right.sort().values, everyone)
    assert (left != right).all()
    assert torch.equal(split.labels("left"), digits.labels[left])
    assert torch.equal(split.labels("right"), digits.labels[right])


def test_digits_stand_at_the_top_left_and_the_bottom_right():
    white, black = torch.full((1, 1, 28, 28), 255, dtype=torch.uint8), torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    left, right = overlay(white, black)[0, 0], overlay(black, white)[0, 0]
    assert (left[:21, :21] == 255).all()
    assert left[23:].sum() == left[:, 23:].sum() == 0
    assert torch.equal(left, right.flip(0, 1))
    both = overlay(white, white)[0, 0]
    assert (both[left == 255] == 255).all()
    assert (both[right == 255] == 255).all()
    assert both[:4, 23:].sum() == both[23:, :4].sum() == 0


def test_pairs_are_the_same_in_every_process_and_differ_between_splits(source):
    assert pairs(10, 1)[0].tolist() == np.random.RandomState(1).permutation(10).tolist()
    again = MultiMnist("packaged", None, 16)
    for name in ("train", "val", "test"):
        assert torch.equal(again.split(name).images, source.split(name).images)
    assert len(set(PAIR_SEEDS.values())) == 3


def test_two_fields_name_the_two_digits(source):
    sample = source.example()
    assert set(sample.fields) == set(source.field_specs) == {"left", "right"}
    assert sample.inputs.shape == (2, *source.input_spec.shape)
    assert source.field_specs["left"].num_classes == 10


def test_the_constants_of_normalisation_fit_the_packaged_composites(source):
    pixels = source.split("train").images.double() / 255
    assert abs(pixels.mean().item() - MEAN[0]) < 1e-4
    assert abs(pixels.std().item() - STD[0]) < 1e-4


def test_official_digits_are_composed_where_they_are_in_use(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw")
    official = MultiMnist("torchvision", str(tmp_path), 16)
    assert [len(official.split(name)) for name in ("train", "val", "test")] == [180, 20, 50]
