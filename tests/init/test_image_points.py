"""mtl-init on images with named points: what it writes trains, evaluates and predicts unedited, and learns them."""

import csv

import numpy as np
import pytest

from mtl_cli import cli
from mtl_cli.errors import UserError
from mtl_cli.init.first_look import init_config
from tests.images._points import NAMES, faces, point_annotations, point_table
from tests.init import _sets
from tests.init._sets import init, yaml_of
from tests.tables._files import write_csv

COORDINATES = [f"points_{axis}_{name}" for name in NAMES for axis in ("x", "y")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predicted(path):
    """Predicted points [N, 2, 2] in the order of the images."""
    with path.open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["image"])
    return np.array([[float(row[name]) for name in COORDINATES] for row in rows]).reshape(-1, 2, 2)


SETS = {
    "COCO": (point_annotations, ["input=set/faces.json"], "faces"),
    "a table": (point_table, ["input=set/faces.csv", "target=[left_eye,right_eye]"], "faces"),
    "columns": (
        point_table,
        ["input=set/faces.csv", "target=[left_eye_x+left_eye_y+right_eye_x+right_eye_y]"],
        "faces",
    ),
}


@pytest.mark.parametrize(("kind", "words", "dataset"), SETS.values(), ids=SETS.keys())
def test_points_are_found_trained_evaluated_and_written_in_pixels_of_the_file(folder, capsys, kind, words, dataset):
    kind(folder / "set", size=(150, 200))
    out = init(capsys, *words)
    assert "points: keypoints: 2 points" in out
    assert "swapped: [[left_eye, right_eye]]" in yaml_of(folder, "task/points.yaml")
    written = yaml_of(folder, f"dataset/{dataset}.yaml")
    assert "size: [128, 128]" in written
    assert "flip: 0.5" in written
    assert "numeric" not in written, "points are no inputs"
    if kind is point_annotations or "target=[left_eye,right_eye]" not in words:
        return  # one run is enough: what is written differs in where points are read
    _sets.train(out, "data.batch_size=4", "backbone.channels=[4,8,8,8]", "trainer.max_steps=2")
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    assert cli.main_predict(["checkpoint=run", "input=set", "output=found", "quiet=true"]) == 0
    assert cli.main_predict(["checkpoint=run", "input=set/faces.csv", "output=found.csv", "quiet=true"]) == 0
    found = predicted(folder / "found/table.csv")
    np.testing.assert_array_equal(found, predicted(folder / "found.csv"))
    assert found.shape == (12, 2, 2)
    assert found[..., 0].max() > 100, "an untrained guess lies near the centre of 200 × 150 pixels"


def test_points_without_sides_are_not_flipped(folder, capsys):
    names, points = faces(folder)
    rows = [[name, *found.flatten().tolist()] for name, found in zip(names, points, strict=True)]
    write_csv(folder / "t.csv", ["image", "p0_x", "p0_y", "p1_x", "p1_y"], rows)
    init(capsys, "input=t.csv", "target=[p0,p1]")
    assert "flip: 0.0" in yaml_of(folder, "dataset/t.yaml")
    assert "points: [p0, p1]" in yaml_of(folder, "task/points.yaml")
    init(capsys, "input=t.csv", "target=[p0]", "name=[tip]", "overwrite=true")
    assert "flip: 0.5" in yaml_of(folder, "dataset/t.yaml"), "one point has no sides"
    assert "points: [p0]" in yaml_of(folder, "task/tip.yaml")


def test_a_point_that_the_table_has_no_columns_of_is_named(folder):
    point_table(folder)
    with pytest.raises(UserError, match=r"nose"):
        init_config("faces.csv", folder / "conf", {"target": ["left_eye", "nose"]})
    point_annotations(folder, lambda content: content["annotations"].clear())
    with pytest.raises(UserError, match=r"points"):
        init_config("faces.json", folder / "conf", {"target": ["points"]})


def error_on_new_images(folder, capsys, shuffled):
    """Mean distance in pixels of what the printed command learnt, on new images of 48 pixels."""
    point_annotations(folder / "set", count=200, size=(48, 48), shuffled=shuffled)
    names, points = faces(folder / "new", count=232, size=(48, 48))
    for name in names[:200]:
        (folder / "new" / name).unlink()
    command = _sets.printed(init(capsys, "input=set/faces.json"))
    quick = ["trainer.max_epochs=null", "trainer.max_steps=150", "trainer.device=cpu", "trainer.precision=fp32"]
    command = [word for word in command if not word.startswith("trainer.max_epochs")]
    assert cli.main([*command, *quick, "optimizer.lr=0.003", "quiet=true", "hydra.run.dir=run"]) == 0
    assert cli.main_predict(["checkpoint=run", "input=new", "output=found", "quiet=true"]) == 0
    return np.linalg.norm(predicted(folder / "found/table.csv") - points[200:], axis=-1).mean()


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [False, True], ids=["own", "shuffled"])
def test_points_are_learnt_and_not_from_the_points_of_other_images(folder, capsys, shuffled):
    error = error_on_new_images(folder, capsys, shuffled)
    assert (error > 6) if shuffled else (error < 3), error
