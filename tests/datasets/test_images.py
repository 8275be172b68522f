"""Image files as inputs and labels, against Pillow and numpy; bad files are named, all at one look."""

import json
import logging
import os
import re
import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from mtl_cli.batch import MISSING_CLASS, WantedField
from mtl_cli.datasets.base import SPLITS
from mtl_cli.datasets.picture_reading_base import new_images
from mtl_cli.errors import UserError
from mtl_cli.images.decoding import decode_image
from mtl_cli.images.resizing import Frame, framed
from mtl_cli.tables.reading import ReadOptions
from tests.images._files import blob_set, images
from tests.tables._files import everything, write_csv

CLASS = {"kind": {"kind": "class", "column": "kind"}}
CELL = {"cell": {"kind": "mask", "column": "instances", "values": "foreground"}}
BOXES = {"boxes": {"kind": "boxes", "column": "instances"}}


@pytest.fixture
def table(tmp_path):
    return blob_set(tmp_path)


def pixels(path):
    return np.asarray(Image.open(path)).transpose(2, 0, 1).astype(np.float64) / 255


def rows_of(source):
    """All rows, apart, by the image's name."""
    found = {}
    for split in SPLITS:
        rows = source.split(split)
        for place, row in enumerate(rows.apart(torch.arange(len(rows)), source.field_specs)):
            found[rows.source.images[rows.numbers[place]]] = row
    return found


@pytest.mark.parametrize("memory_mb", [256, 0], ids=["in memory", "from files"])
def test_rows_are_those_of_the_files(table, memory_mb):
    source = images(table, crop=16, targets={**CELL, **CLASS, **BOXES}, memory_mb=memory_mb)
    found = rows_of(source)
    assert len(found) == 12
    for name, row in found.items():
        np.testing.assert_array_equal(row.inputs, np.round(pixels(table.parent / name) * 255))
        instances = np.asarray(Image.open(table.parent / name.replace("images", "instances")))
        np.testing.assert_array_equal(row.fields["cell"], instances > 0)
        assert source.field_specs["kind"].class_names[row.fields["kind"]] == (
            "many" if len(np.unique(instances)) > 3 else "few"
        )
        for box, number in zip(row.fields["boxes"], np.unique(instances)[1:], strict=True):
            rows, columns = np.nonzero(instances == number)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0]


def test_images_are_scaled_by_the_training_images(table):
    source = images(table, crop=16)
    rows = source.split("train")
    names = [table.parent / rows.source.images[number] for number in rows.numbers]
    values = np.concatenate([pixels(name).reshape(3, -1) for name in names], axis=1)
    np.testing.assert_allclose(source._pixels.mean, values.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(source._pixels.std, values.std(axis=1), rtol=1e-6)
    for split in SPLITS:
        rows = source.split(split)
        for place, number in enumerate(rows.numbers):
            one = rows.__getitems__(torch.tensor([place])).inputs[0].double()
            raw = pixels(table.parent / rows.source.images[number])
            scaled = (raw - values.mean(axis=1)[:, None, None]) / values.std(axis=1)[:, None, None]
            np.testing.assert_allclose(one, scaled, atol=1e-5)


def test_a_batch_of_two_sizes_is_filled_up_with_the_mean_and_missing_labels(table):
    source = images(table, crop=16)
    rows = source.split("train")
    alike = rows.alike
    first = int((alike == alike.unique()[0]).nonzero()[0])
    second = int((alike == alike.unique()[1]).nonzero()[0])
    batch = rows.__getitems__(torch.tensor([first, second]))
    assert batch.inputs.shape == (2, 3, 36, 40)
    for place, index in enumerate((first, second)):
        alone = rows.__getitems__(torch.tensor([index]))
        height, width = alone.inputs.shape[2:]
        torch.testing.assert_close(batch.inputs[place, :, :height, :width], alone.inputs[0])
        assert (batch.inputs[place, :, height:] == 0).all()
        assert (batch.fields["cell"][place, height:] == MISSING_CLASS).all()
        assert (batch.fields["cell"][place, :, width:] == MISSING_CLASS).all()


def test_one_size_keeps_proportions_and_moves_labels_along(table):
    source = images(table, size=[20, 20], targets={**CELL, **BOXES})
    for split in SPLITS:
        batch = everything(source, split)
        assert batch.inputs.shape[2:] == (20, 20)
        assert batch.fields["cell"].shape[1:] == (20, 20)
    assert framed((32, 40), (20, 20)) == Frame((32, 40), (16, 20))
    row = rows_of(source)["images/00.png"]
    assert row.inputs.shape == (3, 16, 20)
    instances = np.asarray(Image.open(table.parent / "instances/00.png"))
    centres_y = ((np.arange(16) + 0.5) * 2).astype(int)
    centres_x = ((np.arange(20) + 0.5) * 2).astype(int)
    np.testing.assert_array_equal(row.fields["cell"], instances[centres_y][:, centres_x] > 0)
    box = images(table, crop=16, targets=BOXES)
    torch.testing.assert_close(row.fields["boxes"][:, :4] * 2, rows_of(box)["images/00.png"].fields["boxes"][:, :4])


def test_images_that_are_changed_fill_their_size_too(table):
    source = images(table, size=[24, 24], flip=1.0, targets={**CELL, **BOXES})
    rows = source.split("train")
    for row in rows.apart(torch.arange(len(rows)), source.field_specs):
        changed = source.augmentation(row)
        height, width = row.inputs.shape[1:]
        assert changed.inputs.shape == (3, 24, 24)
        assert changed.fields["cell"].shape == (24, 24)
        torch.testing.assert_close(changed.fields["cell"][:height, :width], row.fields["cell"].flip(-1))
        assert (changed.fields["cell"][height:] == MISSING_CLASS).all()
        assert (changed.inputs[:, height:] == 0).all()
        assert (changed.inputs[:, :, width:] == 0).all()


def test_sizes_that_differ_ask_for_a_window_or_one_size(table):
    with pytest.raises(UserError, match=r"images of 2 sizes, such as 40×32 and 28×36.*crop=128.*size=\[96,96\]"):
        images(table)


def test_state_travels_without_refitting(table, tmp_path):
    first = images(table, crop=16, targets={**CELL, **CLASS})
    other = blob_set(tmp_path / "other", count=5)
    second = images(other, opened=False, crop=16, targets={**CELL, **CLASS})
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.open()
    assert second._pixels == first._pixels
    assert second.input_spec == first.input_spec
    assert second.field_specs == first.field_specs


def test_the_classes_of_label_images_are_found_declared_or_ignored(table):
    numbers = {"cell": {"kind": "mask", "column": "instances"}}
    found = images(table, crop=16, targets=numbers)
    assert found.field_specs["cell"].class_names == ("0", "1", "2", "3")
    declared = {"cell": {**numbers["cell"], "classes": ["ground", "a", "b", "c"]}}
    assert images(table, crop=16, targets=declared).field_specs["cell"].class_names == ("ground", "a", "b", "c")
    ignored = {"cell": {**numbers["cell"], "values": [0, 2], "classes": ["ground", "b"], "missing": [1, 3]}}
    row = rows_of(images(table, crop=16, targets=ignored))["images/00.png"].fields["cell"]
    instances = np.asarray(Image.open(table.parent / "instances/00.png"))
    expected = np.select([instances == 0, instances == 2], [0, 1], MISSING_CLASS)
    np.testing.assert_array_equal(row, expected)


def test_a_number_that_is_no_class_is_named_with_what_ignores_it(table):
    declared = {"cell": {"kind": "mask", "column": "instances", "classes": ["ground", "a"]}}
    with pytest.raises(UserError, match=r"png holds the number [23], which is not a class.*missing=\[[23]\]"):
        images(table, crop=16, targets=declared)


@pytest.mark.parametrize("value", ["#12", "#gg8800", "red"])
def test_a_colour_has_six_digits(table, value):
    with pytest.raises(UserError, match=rf"'{value}' is not a number of a label image, or a colour such as '#ff8800'"):
        images(table, targets={"cell": {"kind": "mask", "column": "instances", "values": [0, value]}}, opened=False)


def test_depth_and_normals_are_read_in_their_own_unit(tmp_path):
    table = blob_set(tmp_path, count=4, sizes=((20, 24),))
    rows = []
    stream = np.random.default_rng(0)
    for k in range(4):
        depth = stream.integers(0, 3, (20, 24)).astype(np.uint16) * 1000
        Image.fromarray(depth).save(tmp_path / f"d{k}.png")
        normals = stream.normal(size=(3, 20, 24)) * 5
        normals[:, 0, 0] = 0
        np.save(tmp_path / f"n{k}.npy", normals.astype(np.float32))
        rows.append([f"images/{k:02}.png", f"d{k}.png", f"n{k}.npy"])
    write_csv(table, ["image", "depth", "normals"], rows)
    targets = {"depth": {"kind": "depth", "column": "depth"}, "normals": {"kind": "normals", "column": "normals"}}
    for name, row in rows_of(images(table, targets=targets)).items():
        k = int(name[7:9])
        depth = np.asarray(Image.open(tmp_path / f"d{k}.png")).astype(np.float32)
        np.testing.assert_array_equal(row.fields["depth"], np.where(depth == 0, np.nan, depth))
        length = row.fields["normals"].norm(dim=0)
        assert length[0, 0].isnan()
        torch.testing.assert_close(length[1:], torch.ones(19, 24))


def test_a_row_without_a_label_image_is_not_labelled(table):
    lines = table.read_text().splitlines()
    lines[1] = re.sub(r"instances/00.png", "", lines[1])
    table.write_text("\n".join(lines) + "\n")
    row = rows_of(images(table, crop=16, targets={**CELL, **BOXES}))["images/00.png"]
    assert (row.fields["cell"] == MISSING_CLASS).all()
    assert "boxes" not in row.fields


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (WantedField("cell", "b", "mask", {"column": "instances"}), "tasks.a and tasks.b read 'cell' in two ways"),
        (
            WantedField("seen", "b", "mask", {"values": "foreground"}),
            "tasks.b.values says how 'seen' is read",
        ),
    ],
)
def test_two_ways_to_read_a_picture_are_refused(table, other, said):
    source = images(table, opened=False, targets={"seen": {"kind": "mask", "column": "instances"}})
    one = WantedField("cell", "a", "mask", {"column": "instances", "values": "foreground"})
    with pytest.raises(UserError, match=said):
        source.want([one, other])


# bad files, all of them at one look


def test_every_bad_file_is_named_at_one_look(table):
    folder = table.parent
    (folder / "images/01.png").unlink()
    (folder / "images/02.png").write_bytes(b"")
    (folder / "images/03.png").write_text("no image")
    cut = (folder / "images/04.png").read_bytes()
    (folder / "images/04.png").write_bytes(cut[:10])
    Image.fromarray(np.zeros((5, 6), np.uint16)).save(folder / "instances/05.png")
    with pytest.raises(UserError) as failed:
        images(table, crop=16)
    said = failed.value.problems
    assert [re.search(r"row \d+", each).group() for each in said[:5]] == [f"row {k}" for k in (2, 3, 4, 5, 6)]
    assert [re.search(r"0\d.png .*(?=\.$)", s).group() for s in said[:2]] == [
        "01.png does not exist",
        "02.png is empty",
    ]
    assert "05.png is 6×5 pixels, its image images/05.png 28×36; they must be alike" in said[4]
    assert "skip_bad=true" in said[-1]


def test_bad_rows_are_left_out_if_asked_and_counted(table, caplog):
    (table.parent / "images/01.png").unlink()
    source = images(table, crop=16, skip_bad=True)
    assert len(rows_of(source)) == 11
    assert "1 of 12 rows are left out, such as row 2" in caplog.text
    assert table.parent / "images/01.png" not in source.files()["path"]


def test_a_file_that_is_damaged_behind_its_header_is_named(table):
    path = table.parent / "images/06.png"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match=r"06.png cannot be read as an image"):
        images(table, crop=16)
    label = table.parent / "instances/07.png"
    label.write_bytes(label.read_bytes()[:-40])
    assert len(rows_of(images(table, crop=16, skip_bad=True))) == 10


def test_images_may_not_lie_outside(table, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}_secret.png"
    shutil.copy(table.parent / "images/00.png", outside)
    (table.parent / "images/00.png").unlink()
    (table.parent / "images/00.png").symlink_to(outside)
    with pytest.raises(UserError, match=r"00.png leaves .*_secret.png"):
        images(table, crop=16)
    outside.unlink()


def test_new_images_may_not_lie_outside(table, tmp_path):
    source = images(table, crop=16)
    secret = tmp_path.parent / f"{tmp_path.name}_other.png"
    shutil.copy(table.parent / "images/00.png", secret)
    new = write_csv(table.parent / "images/new.csv", ["image"], [[f"../../{secret.name}"]])
    with pytest.raises(UserError, match=r"_other.png leaves "):
        list(source.reading(new).batches(4))
    secret.unlink()


def test_pipes_are_not_read(table):
    (table.parent / "images/00.png").unlink()
    os.mkfifo(table.parent / "images/00.png")
    with pytest.raises(UserError, match=r"00.png is not a file"):
        images(table, crop=16)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([30, 5, 20, 5, "a"], "is not inside the image of 40×32"),
        ([3, 5, 0, 5, "a"], "has no area"),
        ([3, 5, 4, 5, "b"], "is of the class 'b', which is not one of a"),
    ],
)
def test_a_bad_box_is_named_and_left_out_if_asked(tmp_path, caplog, box, said):
    table = blob_set(tmp_path, count=4, sizes=((32, 40),))
    rows = [[f"images/{k:02}.png", json.dumps([[1, 1, 5, 5, "a"], *([box] if k == 2 else [])])] for k in range(4)]
    write_csv(table, ["image", "boxes"], rows)
    targets = {"boxes": {"kind": "boxes", "column": "boxes", "classes": ["a"]}}
    with pytest.raises(UserError, match=rf"row 3, images/02.png: .*{said}"):
        images(table, targets=targets)
    rows = rows_of(images(table, targets=targets, skip_bad=True))
    assert [len(rows[f"images/{k:02}.png"].fields["boxes"]) for k in range(4)] == [1, 1, 1, 1]
    assert "left out 1 of the boxes, such as row 3" in caplog.text


def test_the_files_of_a_set_are_the_table_and_all_that_it_names(table):
    found = images(table, opened=False).files()["path"]
    expected = {table, *(table.parent / "images").iterdir(), *(table.parent / "instances").iterdir()}
    assert set(found) == expected
    assert len(found) == len(expected)


def test_an_image_that_is_added_is_one_of_the_files(table):
    folder = table.parent / "classes"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for k in range(3):
            shutil.copy(table.parent / "images/00.png", folder / name / f"{k}.png")
    source = images(folder, targets={"label": {"kind": "class", "column": "label"}})
    shutil.copy(table.parent / "images/00.png", folder / "a/new.png")
    assert folder / "a/new.png" in source.files()["path"]


def test_class_folders_and_coco_are_read_as_they_are(tmp_path):
    table = blob_set(tmp_path / "set", count=6, sizes=((16, 16),))
    for k in range(6):
        target = tmp_path / "classes" / ("odd" if k % 2 else "even") / f"{k}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(table.parent / f"images/{k:02}.png", target)
    found = rows_of(images(tmp_path / "classes", targets={"label": {"kind": "class", "column": "label"}}))
    assert {name: int(row.fields["label"]) for name, row in found.items()} == {
        f"{kind}/{k}.png": number for k in range(6) for number, kind in [(k % 2, ("even", "odd")[k % 2])]
    }


def test_new_images_come_in_order_those_of_one_size_together(table):
    source = images(table, crop=16)
    reading = source.reading(table.parent / "images")
    batches = list(reading.batches(4))
    assert [name for batch in batches for name in batch.names] == [f"{k:02}.png" for k in range(12)]
    assert all(len({frame.file for frame in batch.frames}) == 1 for batch in batches)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = source.reading(table)
    assert [name for batch in again.batches(4) for name in batch.names] == [f"images/{k:02}.png" for k in range(12)]


def test_label_images_beside_new_images_are_not_predicted(table, caplog):
    (table.parent / "other").mkdir()
    shutil.copy(table.parent / "images/00.png", table.parent / "other/another.png")
    place, names = new_images(table.parent, ReadOptions(), "image")
    assert place.folder == table.parent
    assert names == [*(f"images/{k:02}.png" for k in range(12)), "other/another.png"]
    assert "12 label images are not predicted" in caplog.text
    assert len(new_images(table.parent / "instances", ReadOptions(), "image")[1]) == 12, "asked for by name"


def test_a_field_of_images_is_the_input_and_nothing_beyond_a_smaller_one(table):
    source = images(table, opened=False, size=[48, 48], targets=CLASS)
    source.want([WantedField("rebuilt", "rebuilt", "image")])
    source.open()
    assert source.field_specs["rebuilt"].shape == (3, 48, 48)
    sample = source.split("train").__getitems__(torch.arange(4))
    known = ~torch.isnan(sample.fields["rebuilt"])
    assert torch.equal(sample.fields["rebuilt"][known], sample.inputs[known])
    assert not sample.inputs[~known].any()
    assert 0 < (~known).sum() < known.sum()


def test_a_task_cannot_say_how_the_image_itself_is_read(table):
    source = images(table, opened=False)
    with pytest.raises(UserError, match=r"tasks\.rebuilt\.column says .* its target is the image itself"):
        source.want([WantedField("rebuilt", "rebuilt", "image", {"column": "x"})])


def test_numbers_without_names_are_classes_in_the_order_in_which_they_are_declared(tmp_path):
    folder = tmp_path / "set"
    for place in ("images", "labels"):
        (folder / place).mkdir(parents=True)
    for k in range(8):
        labels = np.array([[7, 3], [3, 9]], np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(np.full((16, 16), 30 * k, np.uint8)).save(folder / "images" / f"{k}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{k}.png")
    target = {"m": {"kind": "mask", "column": "labels", "values": [7, 3], "missing": [9]}}
    source = images(folder, targets=target)
    assert source.field_specs["m"].class_names == ("7", "3")
    mask = source.split("train").__getitems__(torch.tensor([0])).fields["m"][0]
    assert [int(mask[at]) for at in ((0, 0), (0, 15), (15, 15))] == [0, 1, MISSING_CLASS]


def floats_beside(folder, factor):
    """A set of 8-bit images, the second of which holds floats."""
    path = blob_set(folder, count=8, sizes=((12, 12),))
    for k in range(8):
        grey = Image.open(folder / f"images/{k:02}.png").convert("L")
        grey.save(folder / f"images/{k:02}.png")
    pixels = np.asarray(Image.open(folder / "images/01.png"), np.float32) * factor
    np.save(folder / "images/01.npy", pixels)
    path.write_text(path.read_text().replace("images/01.png", "images/01.npy"))
    return path


def test_floats_beside_8_bit_are_on_the_scale_where_white_is_1(tmp_path):
    made = images(floats_beside(tmp_path, 1 / 255))
    whole = images(blob_set(tmp_path / "whole", count=8, sizes=((12, 12),)), channels=1)
    for split in ("train", "val", "test"):
        rows = torch.arange(len(made.split(split)))
        found, wanted = (each.split(split).__getitems__(rows).inputs for each in (made, whole))
        assert torch.allclose(found, wanted, atol=1e-5)


def test_floats_on_another_scale_are_refused_or_left_out(tmp_path, caplog):
    path = floats_beside(tmp_path, 1.0)
    with pytest.raises(UserError, match=r"row 2: .*01.npy holds floats or large whole numbers"):
        images(path)
    with caplog.at_level(logging.WARNING):
        made = images(path, skip_bad=True)
    assert "1 of 8 rows are left out" in caplog.text
    assert sum(len(made.split(split)) for split in ("train", "val", "test")) == 7


def test_a_split_without_a_usable_image_is_an_error(table):
    folder, lines = table.parent, table.read_text().splitlines()
    lines = [lines[0] + ",split", *(f"{line},{'val' if k == 3 else 'train'}" for k, line in enumerate(lines[1:]))]
    table.write_text("\n".join(lines))
    (folder / "images/03.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match="a split has 1 images, none of which can be used"):
        images(table, skip_bad=True, split_column="split", size=[32, 32])


def test_new_images_that_cannot_be_read_are_one_error_or_left_out(table, caplog):
    made, folder = images(table, crop=24), table.parent / "images"
    (folder / "02.png").write_bytes((folder / "02.png").read_bytes()[:200])
    (folder / "04.png").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        list(made.reading(folder).batches(100))
    first, second, way = caught.value.problems
    assert "02.png" in first
    assert "04.png is empty" in second
    assert way.startswith("2 of 12 images cannot be read. skip_bad=true leaves them out")
    reading = made.reading(folder)
    reading.leave_out_bad()
    with caplog.at_level(logging.WARNING):
        found = list(reading.batches(100))
    assert "left out 2 of 12 images" in caplog.text
    names = [name for rows in found for name in rows.names]
    assert names == [f"{k:02}.png" for k in range(12) if k not in (2, 4)]
    (whole,) = made.reading(folder / "05.png").batches(1)
    place = next((rows, k) for rows in found for k, name in enumerate(rows.names) if name == "05.png")
    assert torch.equal(place[0].inputs[place[1]], whole.inputs[0])
    for file in folder.iterdir():
        file.write_bytes(b"")
    reading = made.reading(folder)
    reading.leave_out_bad()
    with pytest.raises(UserError, match=r"00\.png is empty"):
        list(reading.batches(100))


def test_label_images_that_a_table_names_are_not_predicted(table, caplog):
    made = images(table, crop=24)
    (table.parent / "images").rename(table.parent / "pictures")
    table.write_text(table.read_text().replace("images/", "pictures/"))
    with caplog.at_level(logging.WARNING):
        names = [name for rows in made.reading(table.parent).batches(100) for name in rows.names]
    assert names == [f"pictures/{k:02}.png" for k in range(12)]
    assert "12 label images are not predicted" in caplog.text


@pytest.mark.parametrize("memory_mb", [0, 256])
def test_images_of_8_bit_are_scaled_as_a_batch_to_the_same_bits(tmp_path, memory_mb):
    source = images(blob_set(tmp_path, sizes=((32, 40),)), memory_mb=memory_mb)
    rows, indices = source.split("train"), torch.tensor([3, 0, 3])
    raw = rows.raw(indices)
    assert raw.inputs.dtype == torch.uint8
    pixels = source._pixels
    wanted = torch.stack([pixels.scaled(image) for image in raw.inputs])
    for found in (rows.__getitems__(indices).inputs, rows.finished(raw.inputs)):
        assert torch.equal(found, wanted)
        assert found.is_contiguous()
    assert rows.finished(wanted) is wanted
    files = [decode_image(tmp_path / rows.source.images[rows.numbers[k]], 3) for k in indices]
    assert torch.equal(raw.inputs, torch.stack([torch.from_numpy(file.copy()) for file in files]))


def test_images_of_several_sizes_are_scaled_one_by_one(tmp_path):
    rows = images(blob_set(tmp_path), memory_mb=0, crop=32).split("train")
    assert rows.raw(torch.arange(4)).inputs.dtype == torch.float32


def test_channels_are_those_of_training_images(tmp_path):
    stream = np.random.default_rng(0)
    for k in range(6):
        pixels = stream.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels if k == 5 else pixels[..., 0]).save(tmp_path / f"{k}.png")
    rows = [[f"{k}.png", "ab"[k % 2], "train" if k < 4 else "val" if k == 4 else "test"] for k in range(6)]
    table = write_csv(tmp_path / "t.csv", ["image", "y", "part"], rows)
    targets = {"y": {"kind": "class", "column": "y"}}
    source = images(table, targets=targets, split_column="part")
    assert source.input_spec.shape == (1, 8, 8), "the only image in colours is a test image"
    assert source.split("test").__getitems__(torch.arange(1)).inputs.shape == (1, 1, 8, 8)
