"""What data.yaml tells of a set in YOLO's layout: splits, names and points."""

import json

import pytest
from PIL import Image

from mtl_cli.images.listings import list_images
from mtl_cli.images.yolo_told import read_told
from mtl_cli.tables.reading import ReadOptions


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for name in "abcd":
        Image.new("RGB", (20, 10)).save(tmp_path / f"images/{name}.png")
        (tmp_path / f"labels/{name}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    return tmp_path


def rows_of(folder):
    return list_images(folder, ReadOptions()).table.to_pylist()


def test_lists_of_images_are_splits_and_those_in_none_are_left_out(folder, caplog):
    (folder / "data.yml").write_text("path: ../somewhere\ntrain: train.txt\nval: ./val.txt\nnames: {1: dog, 0: cat}\n")
    (folder / "train.txt").write_text("./images/a.png\n/home/me/set/images/b.png\n")
    (folder / "val.txt").write_text("data\\images\\c.png\n")
    found = rows_of(folder)
    assert [(row["image"][-5], row["split"]) for row in found] == [("a", "train"), ("b", "train"), ("c", "val")]
    assert [row["count_cat"] for row in found] == [1, 1, 1]
    assert "left out 1 images that no list of images names, such as images/d.png" in caplog.text


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("train: images\nval: images", "train train train train"),
        ("train: ../train/images\nval: ../valid/images", "None None None None"),
        ("train: [images/a.png, 3]\nnc: 1", "None None None None"),
    ],
)
def test_of_two_splits_the_first_counts_and_what_is_not_there_none(folder, text, splits):
    (folder / "data.yaml").write_text(text)
    assert [str(row.get("split")) for row in rows_of(folder)] == splits.split()


@pytest.mark.parametrize("shape", [(2, 2), (2, 3)])
def test_points_behind_a_box_are_not_an_outline(folder, shape, caplog):
    (folder / "set.yaml").write_text(f"kpt_shape: {list(shape)}\nnames: [cat]\n")
    (folder / "labels/a.txt").write_text("0 0.5 0.5 0.2 0.4" + " 0.25" * (shape[0] * shape[1]))
    assert read_told(folder).points == shape[0] * shape[1]
    assert json.loads(rows_of(folder)[0]["boxes"]) == [[8.0, 3.0, 4.0, 4.0, "cat"]]
    assert "(kpt_shape) are not read, boxes are" in caplog.text
