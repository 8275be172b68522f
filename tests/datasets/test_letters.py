import string

import numpy as np
import pytest
import torch

from mtl_cli.datasets.letters import MEAN, STD, Letters, draw_glyphs, packaged_letters
from mtl_cli.errors import UserError
from mtl_cli.images.packaged import FOLDER
from tests.images._official_files import linear_resize, write_emnist, write_pair

SHIPPED = np.load(FOLDER / "ocr_letters_52k.npz")


def test_letters_are_divided_by_fold():
    for name, belongs in (
        ("test", SHIPPED["fold"] == 0),
        ("val", SHIPPED["fold"] == 1),
        ("train", SHIPPED["fold"] >= 2),
    ):
        assert np.array_equal(packaged_letters()[name].labels.numpy(), SHIPPED["labels"][belongs])


def test_no_written_word_is_in_two_splits():
    words = [
        set(SHIPPED["word"][belongs]) for belongs in (SHIPPED["fold"] == 0, SHIPPED["fold"] == 1, SHIPPED["fold"] > 1)
    ]
    assert sum(len(part) for part in words) == len(set.union(*words)) == 6877


def test_class_counts_are_those_of_the_data_card():
    counts = {name: rows.labels.bincount().tolist() for name, rows in packaged_letters().items()}
    assert [sum(counts[name]) for name in ("train", "val", "test")] == [42_160, 5_375, 4_617]
    assert [counts[name][9] for name in ("train", "val", "test")] == [161, 15, 13]  # j, the rarest
    assert [counts[name][4] for name in ("train", "val", "test")] == [4017, 503, 435]  # e


@pytest.mark.parametrize("row", [0, 17, 4_616])
def test_glyphs_are_unpacked_resized_and_centred(row):
    packed = SHIPPED["images"][SHIPPED["fold"] == 0][row]
    glyph = np.array([[(byte >> (7 - column)) & 1 for column in range(8)] for byte in packed.tolist()])
    expected = np.zeros((28, 28))
    expected[4:24, 7:21] = linear_resize(glyph * 255, 20, 14)
    found = packaged_letters()["test"].images[row, 0].numpy()
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.51  # rounded to whole grey levels


def test_a_full_glyph_fills_its_box_and_an_empty_one_nothing():
    images = draw_glyphs(np.array([[255] * 16, [0] * 16], dtype=np.uint8))
    assert (images[0, 0, 4:24, 7:21] == 255).all()
    assert images[0].sum() == 20 * 14 * 255
    assert images[1].sum() == 0


def test_the_constants_of_normalisation_fit_the_packaged_letters():
    pixels = packaged_letters()["train"].images.double() / 255
    assert abs(pixels.mean().item() - MEAN[0]) < 1e-4
    assert abs(pixels.std().item() - STD[0]) < 1e-4


def test_the_source_names_its_classes():
    source = Letters("packaged", None, 16)
    assert source.field_specs["label"].class_names == tuple(string.ascii_lowercase)
    assert source.example().inputs.shape == (2, *source.input_spec.shape)


def test_emnist_is_turned_upright_and_counted_from_0(tmp_path):
    # An L: a long stroke down the left side, a short one along the bottom; EMNIST stores it transposed, as label 12.
    upright = np.zeros((28, 28), dtype=np.uint8)
    upright[4:24, 8] = 255
    upright[23, 8:16] = 255
    labels = np.arange(26, dtype=np.uint8) + 1
    images = np.zeros((26, 28, 28), dtype=np.uint8)
    images[11] = upright.T
    for prefix in ("emnist-letters-train", "emnist-letters-test"):
        write_pair(tmp_path / "EMNIST" / "raw", prefix, (images, labels))
    test = Letters("torchvision", str(tmp_path), 8).split("test")
    assert test.labels("label").tolist() == list(range(26))
    pixels = test.__getitems__(torch.tensor([string.ascii_lowercase.index("l")])).inputs[0, 0] * STD[0] + MEAN[0]
    torch.testing.assert_close(pixels * 255, torch.from_numpy(upright).float(), rtol=0, atol=1e-3)


def test_emnists_validation_split_is_a_stratified_tenth_of_its_training_files(tmp_path):
    (train_images, _), (test_images, _) = write_emnist(tmp_path / "EMNIST" / "raw", packed=True)
    source = Letters("torchvision", str(tmp_path), 8)
    assert [len(source.split(name)) for name in ("train", "val", "test")] == [468, 52, 104]
    assert source.split("val").labels("label").bincount().tolist() == [2] * 26
    kept = torch.cat([source.split(name).images for name in ("train", "val")])[:, 0].transpose(1, 2).numpy()
    assert sorted(image.tobytes() for image in kept) == sorted(image.tobytes() for image in train_images)
    assert np.array_equal(source.split("test").images[:, 0].transpose(1, 2).numpy(), test_images)
    again = Letters("torchvision", str(tmp_path), 8)
    assert torch.equal(again.split("val").images, source.split("val").images)


def test_emnist_labels_counted_from_0_are_refused(tmp_path):
    images, labels = np.zeros((26, 28, 28), dtype=np.uint8), np.arange(26, dtype=np.uint8)
    for prefix in ("emnist-letters-train", "emnist-letters-test"):
        write_pair(tmp_path, prefix, (images, labels))
    with pytest.raises(UserError, match="has labels -1 to 24"):
        Letters("torchvision", str(tmp_path), 8)
