"""Sets in the folders that they are published in: CamVid and Cityscapes, made up, train as mtl-init writes them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtl_cli.errors import UserError
from mtl_cli.images.listings import list_images
from mtl_cli.images.pairs import label_images
from mtl_cli.images.palettes import is_palette, read_palette
from mtl_cli.tables.reading import ReadOptions
from tests.init._looking import dataset, look, task
from tests.init._sets import init, train

STREAM = np.random.RandomState(0)
PALETTE = {"Sky": (128, 128, 128), "Road": (128, 64, 128), "Car": (64, 0, 128), "Bus": (0, 128, 192), "Void": (0, 0, 0)}
PIXELS = np.array([[200, 220, 255], [90, 90, 90], [200, 30, 30], [0, 0, 0], [10, 10, 10]])
COLOURS = np.array(list(PALETTE.values()), np.uint8)
STREETS = np.array([23, 7, 26, 28, 3], np.uint8)
"""The same classes as numbers of Cityscapes: sky, road, car, bus, and one that is not counted."""
SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def pictures(count=20):
    """Yield images [32, 40, 3] with the numbers of their classes; no image shows a bus."""
    for _ in range(count):
        labels = np.zeros((32, 40), int)
        labels[16:], labels[:2] = 1, 4
        x, y = STREAM.randint(0, 30), STREAM.randint(2, 22)
        labels[y : y + 10, x : x + 10] = 2
        yield (PIXELS[labels] + STREAM.randint(-9, 9, (32, 40, 3))).clip(0, 255), labels


def write_palette(folder):
    lines = [f"{name},{','.join(map(str, colour))}" for name, colour in PALETTE.items()]
    (folder / "class_dict.csv").write_text("name, r, g, b\n" + "\n".join(lines))


def camvid(folder, split=False):
    for number, (image, labels) in enumerate(pictures()):
        name, part = f"0001TP_{number:06}", f"{SPLITS[number]}" if split else "images"
        save(folder / part / f"{name}.png", image)
        save(folder / (f"{part}_labels" if split else "labels") / f"{name}_L.png", COLOURS[labels])
    write_palette(folder)
    return folder


def cityscapes(folder):
    for number, (image, labels) in enumerate(pictures()):
        split, city = SPLITS[number], ("aachen", "bochum")[number % 2]
        name, numbers = f"{city}_{number:06}_000019", STREETS[labels] * (split != "test")
        save(folder / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", image)
        for kind, pixels in (("labelIds", numbers), ("color", COLOURS[labels]), ("instanceIds", numbers)):
            save(folder / "gtFine" / split / city / f"{name}_gtFine_{kind}.png", pixels)
    return folder


def rows_of(folder):
    return list_images(folder, ReadOptions()).table.to_pylist()


def test_camvid_has_the_names_of_its_colours(here, capsys):
    init(capsys, f"input={camvid(here / 'streets')}")
    found = task("labels")
    assert found["classes"] == ["Sky", "Road", "Car", "Bus"]
    assert (found["values"][0], found["missing"]) == ("#808080", ["#000000"])
    assert len(label_images(here / "streets")) == 20


def test_label_folders_beside_those_of_splits_keep_the_splits(here):
    rows = rows_of(camvid(here / "streets", split=True))
    assert [row["split"] for row in rows] == sorted(SPLITS)
    assert rows[-1] == {
        "image": "val/0001TP_000015.png", "labels": "val_labels/0001TP_000015_L.png", "split": "val",
    }  # fmt: skip


def test_cityscapes_has_the_classes_of_the_benchmark_and_loses_its_hidden_labels(here, capsys, caplog):
    out = init(capsys, f"input={cityscapes(here / 'streets')}")
    found = task("labelIds")
    assert dict(zip(found["classes"], found["values"], strict=True))["bicycle"] == 33
    assert len(found["classes"]) == 19
    assert {0, 3, 255} <= {*found["missing"]}
    assert "streets: 16 images" in out
    assert caplog.text.count("left out: its label images hold no class") == 1
    assert dataset("streets")["split_column"] == "split"
    assert len(label_images(here / "streets")) == 60, "colours and instances are not photographs either"


@pytest.mark.slow
@pytest.mark.parametrize("make", [camvid, cityscapes])
def test_they_train_unedited(make, here, capsys):
    out = init(capsys, f"input={make(here / 'streets')}")
    train(out, "trainer.max_epochs=12")
    name = "labels" if make is camvid else "labelIds"
    assert json.loads(Path("run/summary.json").read_text())["test"][f"{name}/pixel_accuracy"] > 0.9


def test_two_kinds_of_label_images_in_one_folder_are_two_columns(here):
    for number, (image, labels) in enumerate(pictures(3)):
        save(here / "set/images" / f"{number}.png", image)
        save(here / "set/labels" / f"{number}_L.png", labels)
        save(here / "set/labels" / f"{number}_color.png", COLOURS[labels])
    assert rows_of(here / "set")[0] == {
        "image": "images/0.png", "labels_L": "labels/0_L.png", "labels_color": "labels/0_color.png",
    }  # fmt: skip


def test_splits_below_the_folder_of_images_are_kept(here):
    for number, (image, labels) in enumerate(pictures(4)):
        split = ("train", "validation")[number % 2]
        save(here / "set/images" / split / f"{number}.png", image)
        save(here / "set/masks" / split / f"{number}.png", labels)
    assert [row["split"] for row in rows_of(here / "set")] == ["train", "train", "val", "val"]


@pytest.mark.parametrize(
    ("line", "said"), [("Tree,1,2", "r, g, b"), ("Tree,1,2,300", "up to 255"), ("Sky,1,2,3", "is there already")]
)
def test_a_palette_that_is_wrong_is_told_by_its_line(line, said, here):
    write_palette(here)
    assert is_palette(here / "class_dict.csv")
    path = here / "class_dict.csv"
    path.write_text(f"{path.read_text()}\n{line}")
    with pytest.raises(UserError, match=f"line 7: .*{said}"):
        read_palette(path)


def test_a_table_of_colours_is_no_palette(here, capsys):
    (here / "data.csv").write_text("r,g,b,name\n" + "\n".join(f"{k},{k % 7},3,{'ab'[k % 2]}" for k in range(40)))
    assert not is_palette(here / "data.csv")
    look(capsys, "[name]")
