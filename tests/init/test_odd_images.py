"""Sets of images that people have and that are easily taken for something else: what mtl-init says of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtl_cli.images.listings import list_images
from mtl_cli.tables.reading import ReadOptions
from tests.init import _looking
from tests.init._looking import dataset, look, task
from tests.init._sets import init
from tests.tables._files import write_csv

STREAM = np.random.default_rng(0)
BOX = [2, 3, 5, 6]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(path, pixels=None):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pixels = STREAM.integers(0, 255, (16, 16, 3), dtype=np.uint8) if pixels is None else pixels
    Image.fromarray(pixels).save(path)


def table(column, cells, image="pics/{}.png", more=()):
    for k in range(len(cells)):
        save(f"pics/{k}.png")
    write_csv(Path("data.csv"), ["image", column, *more], [[image.format(k), cell] for k, cell in enumerate(cells)])


def coco(boxes):
    images = [{"id": k, "file_name": f"{k}.png"} for k in range(len(boxes))]
    for k in range(len(boxes)):
        save(f"set/{k}.png")
    found = [{"image_id": k, "category_id": 1, "bbox": box} for k, own in enumerate(boxes) for box in own]
    content = {"images": images, "annotations": found, "categories": [{"id": 1, "name": "a"}]}
    Path("set/boxes.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("cell", "kind", "said"),
    [
        ([[*BOX, "cell"]], "Detection", "boxes in cells"),
        ({"nose": [3, 4, 2], "tail": [5, 6]}, "Keypoints", "2 points in cells"),
    ],
)
def test_boxes_and_points_in_cells_are_no_classes(capsys, cell, kind, said):
    table("found", [json.dumps(cell) if k % 5 else "" for k in range(12)])
    out = look(capsys, "[found]")
    assert said in out
    assert _looking.kind("found") == kind


def test_label_images_of_floats_are_depth(capsys):
    table("z", [f"z/{k}.tif" for k in range(6)])
    for k in range(6):
        save(f"z/{k}.tif", np.linspace(0.5, 9, 256, dtype=np.float32).reshape(16, 16))
    look(capsys, "[z]")
    assert _looking.kind("z") == "Depth"


def test_a_class_in_one_late_label_image_is_found(capsys):
    table("mask", [f"mask/{k:02}.png" for k in range(80)])
    for k in range(80):
        save(f"mask/{k:02}.png", np.full((16, 16), 3 if k == 77 else k % 2, np.uint8))
    look(capsys, "[mask]")
    assert task("mask")["values"] == [0, 1, 3]


def test_rows_of_one_image_stay_together(capsys):
    table("kind", ["ab"[k % 2] for k in range(12)])
    write_csv(Path("data.csv"), ["image", "kind"], [[f"pics/{k // 2}.png", "ab"[k % 2]] for k in range(24)])
    assert "some rows have the same image" in look(capsys, "[kind]")
    assert dataset()["group_column"] == "image"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("https://example.org/{}.png", "has addresses, such as https://example.org/0.png"),
        ("pics/{}", "names images without their ending, such as pics/0. Write their paths"),
        ("pics\\{}.png", "Write / for \\."),
    ],
)
def test_names_that_are_no_paths_are_told(capsys, image, said):
    table("kind", ["ab"[k % 2] for k in range(24)], image)
    assert said in _looking.refused(capsys, "[kind]")


@pytest.mark.parametrize(("name", "said"), [("x.png", "is an image. Give the folder"), ("x.zip", "is an archive")])
def test_other_files_are_told(capsys, name, said):
    save("x.png")
    Path("x.zip").write_bytes(b"PK")
    assert said in _looking.refused(capsys, "[kind]", source=name)


BOXED = ["image", "class", "xmin", "ymin", "xmax", "ymax"]


def test_a_row_per_box_is_read_as_annotations_are(capsys):
    for k in range(12):
        save(f"{k}.png")
    rows = [[f"{k}.png", "ab"[n], n + 1, 1, n + 4.5, 6] for k in range(1, 12) for n in range(2)]
    rows = [[*row, "x"] for row in [*rows, ["0.png", "", "", "", "", ""]]]
    write_csv(Path("data.csv"), [*BOXED, "camera"], rows, ";")
    out = _looking.look(capsys, "[class]")
    assert "data.csv: 12 images of" in out
    assert "class: detection" in out or "class: boxes" in out
    listing = list_images(Path("data.csv"), ReadOptions(delimiter=";"), "boxes")
    assert (
        listing.table.column("boxes").to_pylist()[:2] == ['[[1.0, 1.0, 3.5, 5.0, "a"], [2.0, 1.0, 3.5, 5.0, "b"]]'] * 2
    )
    assert listing.table.column("boxes").to_pylist()[-1] == "[]"
    assert listing.table.column("camera").to_pylist() == ["x"] * 12
    _looking.train(capsys, out, "trainer.max_steps=1")


@pytest.mark.parametrize(
    ("corners", "said"),
    [
        ([0.1, 0.1, 0.5, 0.6], "all corners are from 0 to 1, shares of the image. Write pixels"),
        ([1, "", 5, 6], "row 1, column 'ymin': the cell is empty. Fill it, or leave all of them empty"),
        ([1, 1, "wide", 6], "row 1, column 'xmax': 'wide' is not a number"),
        ([5, 1, 2, 6], "has no area"),
    ],
)
def test_rows_of_boxes_that_cannot_be_meant_are_refused(capsys, corners, said):
    save("a.png")
    write_csv(Path("data.csv"), BOXED, [["a.png", "a", *corners]] * 2)
    assert said in _looking.refused(capsys, "[class]")


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([[]] * 6, "no image has a box"),
        ([[[2, 2, 5, 5], [9, 9, 14, 14]]] * 6, "6 of 12 boxes cannot be used: one is x, y, width and height"),
    ],
)
def test_boxes_that_cannot_be_meant_are_refused(capsys, boxes, said):
    coco(boxes)
    assert said in _looking.refused(capsys, "[boxes]", source="set/boxes.json")


def test_kinds_that_are_not_read_are_told(capsys):
    for k in range(12):
        save(f"set/{'ab'[k % 2]}/{k}.png")
    Path("set/a/new.heic").write_bytes(b"x")
    save("set/.thumbs/1.png")
    out = init(capsys, "input=set")
    assert "left out: 1 files such as a/new.heic (.heic is not read)" in out
    assert "a 6 (50.0%), b 6 (50.0%)" in out
