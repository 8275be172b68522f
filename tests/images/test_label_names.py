"""Which files of a folder are label images, and of which images, by the names that people give them."""

import numpy as np
import pytest
from PIL import Image

from mtl_cli.errors import UserError
from mtl_cli.images.listings import form_of, list_images
from mtl_cli.images.pairs import label_images
from mtl_cli.tables.reading import ReadOptions

PHOTO = np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)
MASK = np.zeros((24, 24), np.uint8)


def save(file, pixels=PHOTO):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def rows(folder):
    return list_images(folder, ReadOptions()).table.to_pylist()


@pytest.mark.parametrize(
    ("image", "label", "column"),
    [
        ("{}.jpg", "{}_mask.png", "mask"),
        ("{}.png", "{}_GT.png", "gt"),
        ("x ({}).png", "x ({})-mask.png", "mask"),
        ("{}.jpg", "{}.segmentation.png", "segmentation"),
        ("{}.jpg", "mask_{}.png", "mask"),
        ("{}.jpg", "{}.png", "mask"),
        ("patient{}/a.tif", "patient{}/a_mask.tif", "mask"),
        ("train/scans/{}.png", "train/ground_truth/{}.png", "ground_truth"),
        ("scans/img_{}.png", "GT/img_{}-gt.png", "GT"),
        ("images/{}.png", "masks/mask_{}.png", "masks"),
    ],
)
def test_label_images_are_told_by_their_names(tmp_path, image, label, column):
    for k in range(4):
        save(tmp_path / image.format(k))
        save(tmp_path / label.format(k), MASK)
    assert form_of(tmp_path) == "pairs"
    for k, row in enumerate(rows(tmp_path)):
        assert row["image"] == image.format(k)
        assert row[column] == label.format(k)
    assert label_images(tmp_path) == {tmp_path / label.format(k) for k in range(4)}


def test_images_in_several_folders_tell_their_folder(tmp_path):
    for k in range(6):
        save(tmp_path / f"{'ab'[k % 2]}/{k}.png")
        save(tmp_path / f"{'ab'[k % 2]}/{k}_mask.png", MASK)
    assert [row["folder"] for row in rows(tmp_path)] == list("aaabbb")


@pytest.mark.parametrize("names", [("a/{}.jpg", "a/{}.png", "b/{}.jpg"), ("a/{}.png", "b/{}.png")])
def test_photographs_of_one_name_are_no_label_images(tmp_path, names):
    for k in range(4):
        for name in names:
            save(tmp_path / name.format(k))
    assert form_of(tmp_path) == "classes"
    assert {row["label"] for row in rows(tmp_path)} == {"a", "b"}


def test_one_image_called_like_a_label_image_does_not_change_class_folders(tmp_path):
    for k in range(6):
        save(tmp_path / f"{'ab'[k % 2]}/{k}.png")
    save(tmp_path / "a/0_mask.png")
    assert form_of(tmp_path) == "classes"


def test_several_label_images_of_an_image_are_refused(tmp_path):
    for k in range(3):
        save(tmp_path / f"{k}.png")
        save(tmp_path / f"{k}_mask.png", MASK)
    save(tmp_path / "1_mask_1.png", MASK)
    with pytest.raises(UserError, match=r"1.png has mask and mask_1. Join them"):
        rows(tmp_path)


def test_folders_called_images_and_masks_are_not_classes(tmp_path):
    for k in range(3):
        save(tmp_path / f"{k}/images/{k}.png")
        save(tmp_path / f"{k}/masks/{k}7.png", MASK)
    with pytest.raises(UserError, match="are called images, masks, as those of images and of label images are"):
        rows(tmp_path)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train_set/a/0", "val-set/b/1", "test_images/a/2"], ["test", "train", "val"]),
        (["data/Training/a/0", "data/validation/b/1"], ["train", "val"]),
        (["trains/test/0", "trains/toy/1"], None),
    ],
)
def test_splits_of_class_folders_are_told_below_and_above_them(tmp_path, names, splits):
    for name in names:
        save(tmp_path / f"{name}.png")
    assert [row.get("split") for row in rows(tmp_path)] == (splits or [None] * len(names))
