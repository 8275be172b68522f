"""Points of tables and of COCO are read as they are, move and change places with their image; bad ones are refused."""

import json
import logging
import math

import numpy as np
import pytest
import torch

from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from mtl_cli.images.points import named_points, read_points, side_pairs
from tests.images._files import images
from tests.images._points import NAMES, faces, point_annotations, point_table
from tests.tables._files import write_csv

TABLE = {"points": {"kind": "keypoints", "points": list(NAMES)}}
COCO = {"points": {"kind": "keypoints", "column": "points"}}
NAN = math.nan


def points_of(source):
    """The points [K, 3] of all rows by the image's name, in pixels of the input."""
    found = {}
    for split in SPLITS:
        rows = source.split(split)
        for place, row in enumerate(rows.apart(torch.arange(len(rows)), source.field_specs)):
            found[rows.source.images[rows.numbers[place]]] = row.fields["points"]
    return found


@pytest.mark.parametrize(("kind", "targets"), [(point_table, TABLE), (point_annotations, COCO)], ids=["CSV", "COCO"])
@pytest.mark.parametrize("memory_mb", [256, 0], ids=["in memory", "from files"])
def test_points_are_those_of_the_file(tmp_path, kind, targets, memory_mb):
    source = images(kind(tmp_path), targets=targets, memory_mb=memory_mb)
    names, points = faces(tmp_path)
    found = points_of(source)
    assert set(found) == set(names)
    for name, expected in zip(names, points, strict=True):
        np.testing.assert_allclose(found[name][:, :2], expected, rtol=1e-6)
        assert found[name][:, 2].tolist() == [1, 1]
    spec = source.field_specs["points"]
    assert (spec.kind, spec.columns, spec.shape) == ("keypoints", NAMES, (2, 3))


def test_one_size_scales_points(tmp_path):
    names, points = faces(tmp_path)
    found = points_of(images(point_table(tmp_path), targets=TABLE, size=[16, 20]))
    np.testing.assert_allclose(found[names[0]][:, :2], points[0] / 2, rtol=1e-6)


def test_what_a_table_leaves_open_is_not_known_and_0_is_not_there(tmp_path):
    columns = ["image", "left_eye_x", "left_eye_y", "left_eye_v", "right_eye_x", "right_eye_y"]
    names, _ = faces(tmp_path)
    cells = [["3", "4", "2", "30", "5"], ["3", "4", "1", "", ""], ["99", "0", "0", "30", "5"], ["", "", "", "30", "5"]]
    path = write_csv(tmp_path / "t.csv", columns, [[name, *cells[k % 4]] for k, name in enumerate(names)])
    found = points_of(images(path, targets=TABLE))
    expected = [
        [[3, 4, 1], [30, 5, 1]],
        [[3, 4, 1], [0, 0, NAN]],
        [[0, 0, 0], [30, 5, 1]],
        [[0, 0, NAN], [30, 5, 1]],
    ]
    for name, points in zip(names, expected, strict=False):
        torch.testing.assert_close(found[name], torch.tensor(points, dtype=torch.float32), equal_nan=True)


def test_an_image_has_the_points_of_its_largest_object_and_several_are_told(tmp_path, caplog):
    def more(content):
        large = {"image_id": 0, "category_id": 1, "bbox": [0, 0, 39, 31], "keypoints": [1, 2, 2, 3, 4, 1]}
        small = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "keypoints": [1, 2, 2, 3, 4, 1]}
        crowd = {"image_id": 2, "category_id": 1, "bbox": [0, 0, 40, 32], "keypoints": [1] * 6, "iscrowd": 1}
        nothing = {"image_id": 3, "category_id": 1, "bbox": [0, 0, 40, 32], "keypoints": [0] * 6}
        del content["annotations"][5]["bbox"]
        content["annotations"] += [large, small, crowd, nothing]
        del content["annotations"][4]

    with caplog.at_level(logging.WARNING, "mtl_cli"):
        found = points_of(images(point_annotations(tmp_path, more), targets=COCO))
    names, points = faces(tmp_path)
    assert found[names[0]].tolist() == [[1, 2, 1], [3, 4, 1]]
    for k in (1, 2, 3, 5):
        np.testing.assert_allclose(found[names[k]][:, :2], points[k], rtol=1e-6)
    assert found[names[4]][:, 2].isnan().all(), "an image without an object has no label"
    told = [each for each in caplog.messages if "2 of 12 images hold several objects" in each]
    assert len(told) == 1
    assert "faces.json" in told[0]


MIRRORS = {
    "left to right": ({"flip": 1.0}, lambda x, y: (40 - x, y), True),
    "upside down": ({"flip_vertical": 1.0}, lambda x, y: (x, 32 - y), True),
    "both": ({"flip": 1.0, "flip_vertical": 1.0}, lambda x, y: (40 - x, 32 - y), False),
}


@pytest.mark.parametrize(("options", "move", "swaps"), MIRRORS.values(), ids=MIRRORS.keys())
@pytest.mark.parametrize("pairs", [[list(NAMES)], None], ids=["pairs", "no pairs"])
def test_flipped_points_are_exact_and_change_places_where_pairs_say_so(tmp_path, options, move, swaps, pairs):
    names, points = faces(tmp_path)
    targets = {"points": {**TABLE["points"], **({"swapped": pairs} if pairs else {})}}
    source = images(point_table(tmp_path), targets=targets, **options)
    rows = source.split("train")
    for place, row in enumerate(rows.apart(torch.arange(3), source.field_specs)):
        expected = [move(*point) for point in points[names.index(rows.source.images[rows.numbers[place]])]]
        expected = expected[::-1] if swaps and pairs else expected
        np.testing.assert_allclose(source.augmentation(row).fields["points"][:, :2], expected, atol=1e-4)


def test_an_image_and_its_points_move_together(tmp_path):
    """The centre of each disc's colour is where its point is, after a zoom, a turn, a shift and perhaps a flip."""
    path = point_table(tmp_path, size=(64, 80), count=16)
    targets = {"points": {**TABLE["points"], "swapped": [list(NAMES)]}}
    changes = {"zoom": [0.9, 1.1], "rotate": 20.0, "shift": 0.05}
    source = images(path, targets=targets, flip=0.5, mean=[0.0] * 3, std=[1.0] * 3, **changes)
    rows = source.split("train")
    seen, flipped = 0, 0
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(80) + 0.5, indexing="ij")
    for seed, row in enumerate(rows.apart(torch.arange(len(rows)), source.field_specs)):
        torch.manual_seed(seed)
        changed = source.augmentation(row)
        points = changed.fields["points"]
        red_x = (changed.inputs[0] > 0.5).nonzero().float().mean(dim=0)[1]
        mirrored = bool((points[1, 0] - red_x).abs() < 2)  # after a flip the red disc is the right eye
        flipped += mirrored
        for point, channel in zip(points, (1, 0) if mirrored else (0, 1), strict=True):
            weights = (changed.inputs[channel] - 40 / 255).clamp(min=0)
            inside = 6 < point[0] < 74 and 6 < point[1] < 58
            if not inside:
                continue
            centre = torch.stack([(weights * x).sum(), (weights * y).sum()]) / weights.sum()
            torch.testing.assert_close(point[:2], centre, atol=0.3, rtol=0)
            seen += 1
    assert seen >= 12
    assert 0 < flipped < len(rows)


def test_left_and_right_without_pairs_are_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "mtl_cli"):
        images(point_table(tmp_path), targets=TABLE, flip=0.5)
    assert "'+targets.points.swapped=[[left_eye,right_eye]]'" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "mtl_cli"):
        images(tmp_path / "faces.csv", targets={"points": {**TABLE["points"], "swapped": [list(NAMES)]}}, flip=0.5)
    assert "swapped" not in caplog.text


BAD_CELLS = {
    "outside": (
        ["90", "4", "2"],
        r"row 2, 001.png: the point 'left_eye' at \(90, 4\) is not inside the image",
    ),
    "half": (["3", "", ""], "row 2, 001.png: the point 'left_eye' has no y"),
    "no place": (["", "", "2"], "row 2, 001.png: the point 'left_eye' has no x"),
    "a word": (["3", "x", "2"], "row 2, 001.png: the point 'left_eye' has 'x', which is not a number"),
    "visibility": (["3", "4", "7"], "row 2, 001.png: the point 'left_eye' has the visibility 7"),
}


@pytest.mark.parametrize(("cells", "said"), BAD_CELLS.values(), ids=BAD_CELLS.keys())
def test_bad_points_are_named_with_their_file_and_left_out_if_asked(tmp_path, caplog, cells, said):
    names, _ = faces(tmp_path)
    columns = ["image", "left_eye_x", "left_eye_y", "left_eye_v", "right_eye_x", "right_eye_y"]
    rows = [[name, *(cells if k == 1 else ["3", "4", "2"]), "30", "5"] for k, name in enumerate(names)]
    path = write_csv(tmp_path / "t.csv", columns, rows)
    with pytest.raises(UserError, match=said):
        images(path, targets=TABLE)
    with caplog.at_level(logging.WARNING, "mtl_cli"):
        found = points_of(images(path, targets=TABLE, skip_bad=True))
    assert "t.csv: left out 1 of the points, such as row 2" in caplog.text
    torch.testing.assert_close(found[names[1]], torch.tensor([[0, 0, NAN], [30.0, 5, 1]]), equal_nan=True)


def spoiled(values):
    def change(content):
        content["annotations"][1]["keypoints"] = values

    return change


BAD_COCO = {
    "length": (spoiled([1, 2, 2]), r"faces.json, annotation 1: keypoints has 3 numbers; .* are 6"),
    "outside": (spoiled([-9, 2, 2, 3, 4, 2]), r"row 2, 001.png: the point 'left_eye' at \(-9, 2\) is not inside"),
    "twice": (
        lambda content: content["categories"][0].update(keypoints=["a", "a"]),
        "faces.json: the category 1 names a keypoint twice",
    ),
}


@pytest.mark.parametrize(("change", "said"), BAD_COCO.values(), ids=BAD_COCO.keys())
def test_bad_annotations_are_named(tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        images(point_annotations(tmp_path, change), targets=COCO)


BAD_CONFIG = {
    "no column": ({"points": ["left_eye", "nose"]}, "nose_x"),
    "unknown pair": ({"points": list(NAMES), "swapped": [["left_eye", "nose"]]}, "swapped has 'nose'"),
    "no pair": ({"points": list(NAMES), "swapped": ["left_eye"]}, "a list of pairs"),
    "pair twice": ({"points": list(NAMES), "swapped": [["left_eye", "left_eye"]]}, "'left_eye' twice"),
    "point twice": ({"points": ["left_eye", "left_eye"]}, "named once"),
    "unknown key": ({"points": list(NAMES), "classes": ["a"]}, "classes is unknown"),
}


@pytest.mark.parametrize(("node", "said"), BAD_CONFIG.values(), ids=BAD_CONFIG.keys())
def test_a_config_that_does_not_fit_is_refused(tmp_path, node, said):
    with pytest.raises(UserError, match=said):
        images(point_table(tmp_path), targets={"points": {"kind": "keypoints", **node}})


def test_unknown_points_and_other_json_are_named():
    assert read_points([json.dumps({"nose": [1, 2, 2]})], NAMES)[1] == [
        "the point 'nose' is unknown; there are left_eye, right_eye"
    ]
    for cell in ("[1, 2]", "nonsense", "3", "[" * 100_000):
        assert read_points([cell], NAMES)[1][0].endswith("is not JSON of points {name: [x, y, v], …}")


def test_names_tell_points_and_sides():
    assert named_points(["a_x", "a_y", "b_x", "b_y", "b_v"]) == ["a", "b"]
    assert named_points(["a_x", "a_y", "b_x"]) == []
    assert named_points(["label"]) == []
    assert side_pairs(["nose", "left_eye", "right_eye", "l_ear", "R_ear"]) == [
        ("left_eye", "right_eye"),
        ("l_ear", "R_ear"),
    ]
