"""mtl-init on sets of images: what it writes trains, evaluates and predicts unedited."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from mtl_cli import cli
from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import instance_boxes
from mtl_cli.images.listings import list_images
from mtl_cli.init.first_look import init_config
from mtl_cli.storage import checkpoint
from mtl_cli.tables.reading import ReadOptions
from tests.images._files import blob_set, blobs
from tests.init import _sets
from tests.init._sets import init, yaml_of
from tests.tables._files import write_csv


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(out, *more):
    _sets.train(out, "data.batch_size=4", *more)


def test_a_table_with_label_images_is_segmented_classified_and_counted(folder, capsys):
    blob_set(folder / "set", count=20, sizes=((32, 32),))
    out = init(capsys, "input=set/table.csv", "target=[instances,kind,count]")
    assert "instances: segmentation" in out
    assert "values: foreground" in yaml_of(folder, "task/instances.yaml")
    train(out, "backbone.channels=[4,8]")
    assert cli.main_predict(["checkpoint=run", "input=set/images", "output=predicted", "quiet=true"]) == 0
    with (folder / "predicted/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"{k:02}.png" for k in range(20)]
    assert {"kind_prediction", "count_prediction"} <= set(rows[0])
    mask = np.asarray(Image.open(folder / "predicted/instances/07.png"))
    assert mask.shape == (32, 32)
    assert set(np.unique(mask)) <= {0, 1}
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0


def test_large_label_images_are_learnt_in_a_window_and_evaluated_whole(folder, capsys):
    blob_set(folder / "set", count=8, sizes=((150, 180), (140, 200)))
    init(capsys, "input=set/table.csv", "target=[instances]")
    assert "crop: [128, 128]" in yaml_of(folder, "dataset/table.yaml")


def test_photographs_of_many_sizes_are_brought_into_one(folder, capsys):
    blob_set(folder / "set", count=12, sizes=((40, 60), (60, 40), (50, 50)))
    out = init(capsys, "input=set/table.csv", "target=[kind]")
    assert "size: [64, 64]" in yaml_of(folder, "dataset/table.yaml")
    train(out, "backbone.channels=[4,8]", "backbone.dense=[8]")


def test_turned_images_are_of_their_own_so_that_other_tasks_learn_from_upright_ones(folder, capsys):
    blob_set(folder / "set", count=12, sizes=((16, 16),))
    out = init(capsys, "input=set/table.csv", "target=[kind]")
    assert "with a task that needs no labels: task=kind+table_turn" in out
    train(out.replace("task=kind ", "task=kind+table_turn "), "backbone.channels=[4]", "backbone.dense=[8]")
    config = yaml.safe_load((folder / "run/config.yaml").read_text())
    assert {name: each["dataset"]["rotation"] for name, each in config["tasks"].items()} == {
        "kind": False, "table_turn": True,
    }  # fmt: skip


def test_class_folders_need_no_target_and_name_their_splits(folder, capsys):
    table = blob_set(folder / "raw", count=12, sizes=((16, 16),))
    for k in range(12):
        place = folder / "set" / ("train" if k < 8 else "val" if k < 10 else "test") / "ab"[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(table.parent / f"images/{k:02}.png", place)
    out = init(capsys, "input=set")
    assert "split_column: split" in yaml_of(folder, "dataset/set.yaml")
    assert "classes: [a, b]" in yaml_of(folder, "task/label.yaml")
    train(out, "backbone.channels=[4]", "backbone.dense=[8]")
    assert cli.main_predict(["checkpoint=run", "input=set/test", "output=out.csv", "quiet=true"]) == 0
    with (folder / "out.csv").open() as file:
        assert [row["image"] for row in csv.DictReader(file)] == ["a/10.png", "b/11.png"]


def test_boxes_of_coco_are_trained_predicted_and_read_back(folder, capsys):
    (folder / "set/images").mkdir(parents=True)
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 5, "name": "${b}"}]}
    for k in range(12):
        image, instances = blobs(k, (32, 40))
        Image.fromarray(image).save(folder / f"set/images/{k}.png")
        content["images"].append({"id": k, "file_name": f"{k}.png"})
        for box in instance_boxes(instances):
            entry = {"image_id": k, "category_id": 5 if box[2] > 8 else 1, "bbox": box}
            content["annotations"].append(entry)
    content["annotations"].append({"image_id": 3, "category_id": 1, "bbox": [1, 1, 0, 4]})
    (folder / "set/boxes.json").write_text(json.dumps(content))
    out = init(capsys, "input=set/boxes.json")
    assert "row 4, images/3.png: the box [1, 1, 0, 4] has no area" in out
    assert "skip_bad: true" in yaml_of(folder, "dataset/boxes.yaml")
    train(out, "backbone.channels=[4,8]", "tasks.boxes.score_threshold=0.001")
    assert cli.main_predict(["checkpoint=run", "input=set/images", "output=predicted", "quiet=true"]) == 0
    found = json.loads((folder / "predicted/boxes/boxes.json").read_text())
    assert [each["name"] for each in found["categories"]] == ["${b}", "a"]
    assert {each["file_name"] for each in found["images"]} == {f"{k}.png" for k in range(12)}
    assert all((each["height"], each["width"]) == (32, 40) for each in found["images"])
    for each in found["annotations"]:
        x, y, width, height = each["bbox"]
        assert x >= 0
        assert y >= 0
        assert x + width <= 40.01
        assert y + height <= 32.01
        assert 0 < each["score"] <= 1
    with (folder / "predicted/table.csv").open() as file:
        counts = {row["image"]: int(row["boxes_count"]) for row in csv.DictReader(file)}
    names = {each["id"]: each["file_name"] for each in found["images"]}
    assert len(found["annotations"]) > 0
    for name, count in counts.items():
        assert count >= sum(names[each["image_id"]] == name for each in found["annotations"])
    shutil.copy(folder / "predicted/boxes/boxes.json", folder / "set/predicted.json")
    read = list_images(folder / "set/predicted.json", ReadOptions())
    assert read.num_rows == 12, "what is written can be read again"


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("mask", [0, 255], "values: foreground"),
        ("mask", [0, 1, 2, 255], "missing: [255]"),
        ("mask", [3, 5, 9], "values: [3, 5, 9]"),
        ("depth", [0, 1000, 2000], "mtl_cli.tasks.depth.Depth"),
        ("z", list(range(0, 60000, 500)), "mtl_cli.tasks.depth.Depth"),
        ("labels", list(range(60)), "values: foreground"),
    ],
)
def test_label_images_are_told_by_their_numbers_and_name(folder, capsys, name, values, kind):
    rows = []
    stream = np.random.default_rng(0)
    for k in range(6):
        Image.fromarray(stream.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"i{k}.png")
        count = len(values) if len(values) != 60 else 20 + 8 * k
        label = stream.choice(np.array(values[:count]), (16, 16)).astype(np.uint16)
        label.flat[: min(count, 256)] = values[: min(count, 256)]
        Image.fromarray(label).save(folder / f"m{k}.png")
        rows.append([f"i{k}.png", f"m{k}.png"])
    write_csv(folder / "set.csv", ["image", name], rows)
    init(capsys, "input=set.csv", f"target=[{name}]")
    assert kind in yaml_of(folder, f"task/{name}.yaml")


def test_a_folder_of_images_and_masks_needs_no_target(folder, capsys):
    blob_set(folder / "set", count=10, sizes=((32, 32),))
    (folder / "set/table.csv").unlink()
    out = init(capsys, "input=set")
    assert "instances: segmentation" in out
    train(out, "backbone.channels=[4,8]")


def test_a_folder_gives_its_table_then_coco_and_says_what_else_it_holds(folder, capsys):
    blob_set(folder / "set", count=10, sizes=((32, 32),))
    content = {
        "images": [{"id": k, "file_name": f"images/{k:02}.png"} for k in range(10)],
        "annotations": [{"image_id": k, "category_id": 1, "bbox": [1, 1, 5, 5]} for k in range(10)],
        "categories": [{"id": 1, "name": "a"}],
    }
    (folder / "set/boxes.json").write_text(json.dumps(content))
    out = init(capsys, "input=set", "target=[kind]")
    assert "not read: boxes.json (COCO: format=coco)" in out
    assert "set/table.csv" in yaml_of(folder, "dataset/table.yaml")
    for words in (["format=coco"], ["overwrite=true"]):  # a table needs a target, and COCO does not
        out = init(capsys, "input=set", *words)
        assert "not read: table.csv (a table: name the columns to predict, target=[…])" in out
        assert "boxes: detection" in out


HOSTILE = ["a: b\n_target_: os.system", "${oc.env:HOME}", "no", "x y", "'\"", "{}", "日本"]


def test_names_of_folders_and_categories_are_data(folder, capsys):
    stream = np.random.default_rng(0)
    for name in HOSTILE:
        place = folder / "set" / name
        place.mkdir(parents=True)
        for k in range(4):
            Image.fromarray(stream.integers(0, 255, (8, 8), dtype=np.uint8)).save(place / f"{k}.png")
    out = init(capsys, "input=set")
    assert "${oc.env" not in yaml_of(folder, "task/label.yaml").replace("\\${", "")
    train(out, "backbone.channels=[4]", "backbone.dense=[8]")
    fields = json.loads((folder / "run/summary.json").read_text()) if (folder / "run/summary.json").exists() else {}
    assert "/root" not in json.dumps(fields)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["target=[nothing]"], "nothing"),
        (["target=[kind]", "kind.kind=detection"], "does not name images that are there"),
        (["target=[instances]", "kind.instances=pose"], "it is one of segmentation, depth, normals, detection"),
        ([], r"No target is given.* has image, instances, count, kind\."),
    ],
)
def test_what_cannot_be_is_said(folder, words, said):
    blob_set(folder / "set", count=4)
    options = dict(word.split("=") for word in words)
    options = {key: value.strip("[]").split(",") if key == "target" else value for key, value in options.items()}
    with pytest.raises(UserError, match=said):
        init_config("set/table.csv", folder / "conf", options)


@pytest.mark.parametrize(
    ("table", "path", "said"),
    [
        ("t.csv", "{}.png", r"column 'image' names images, and none is there, such as 0.png.*drop="),
        ("tab/t.csv", "../deep/set/{}.png", r"such as ../deep/set/0.png, lie outside tab. Move it to a folder above"),
    ],
)
def test_images_that_a_table_names_elsewhere_are_told_with_what_helps(folder, capsys, table, path, said):
    for k in range(12):
        (folder / "deep/set").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 20 * k, np.uint8)).save(folder / f"deep/set/{k}.png")
    (folder / table).parent.mkdir(exist_ok=True)
    rows = [[path.format(k), k % 3, "ab"[k % 2]] for k in range(12)]
    write_csv(folder / table, ["image", "age", "label"], rows)
    with pytest.raises(UserError, match=said):
        init_config(table, folder / "conf", {"target": ["label"]})
    if table == "t.csv":
        assert "numeric: age" in init(capsys, f"input={table}", "target=[label]", "drop=[image]")
        write_csv(folder / table, ["image", "age", "label"], [[f"deep/set/{row[0]}", *row[1:]] for row in rows])
        out = init(capsys, f"input={table}", "target=[label]", "overwrite=true")
        assert "or where they are answers too: drop=[age], or name them in target=" in out


def test_one_class_folder_is_no_task(folder):
    (folder / "set/only").mkdir(parents=True)
    Image.new("RGB", (16, 16)).save(folder / "set/only/a.png")
    with pytest.raises(UserError, match=r"lie in one class folder, 'only'\. Add a folder for each other class"):
        init_config("set", folder / "conf", {})


def test_images_are_found_in_a_folder_beside_that_of_the_table(folder, capsys):
    table = blob_set(folder / "set", 12)
    (folder / "set/meta").mkdir()
    shutil.move(table, folder / "set/meta/labels.csv")
    out = init(capsys, "input=set/meta/labels.csv", "target=[kind]")
    assert "folder: set  # paths" in yaml_of(folder, "dataset/labels.yaml")
    train(out)
    assert cli.main_predict(["checkpoint=run", "input=set/meta/labels.csv", "output=out.csv"]) == 0
    assert len((folder / "out.csv").read_text().splitlines()) == 13


def drawn(folder, values, mode="L", ending="png", images=6):
    """Images with label images of some numbers beside them."""
    for k in range(images):
        image, _ = blobs(k, (16, 16))
        for name in ("images", "masks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"images/{k}.png")
        label = np.resize(np.array(values, np.uint8), (16, 16) if mode == "L" else (16, 16, 3))
        Image.fromarray(label).save(folder / f"masks/{k}.{ending}")


def test_colours_of_label_images_are_written_as_colours(folder, capsys):
    drawn(folder / "set", [[0, 0, 0], [0, 128, 64], [255, 0, 0]], "RGB")
    init(capsys, "input=set")
    assert 'values: ["#000000", "#008040", "#ff0000"]' in yaml_of(folder, "task/masks.yaml")


def test_jpeg_is_no_label_image_and_grey_and_colours_are_not_mixed(folder, capsys):
    drawn(folder / "lossy", [0, 90, 255, 180, 40], ending="jpg")
    with pytest.raises(UserError, match="is JPEG, whose compression changes numbers"):
        init_config("lossy", folder / "conf", {})
    init(capsys, "input=lossy", "kind.masks=depth")
    drawn(folder / "mixed", [0, 7, 9])
    Image.open(folder / "mixed/masks/1.png").convert("RGB").save(folder / "mixed/masks/1.png")
    with pytest.raises(UserError, match="7 and #070707 may be one class or two"):
        init_config("mixed", folder / "conf", {})


def test_a_set_of_which_half_cannot_be_read_is_refused(folder):
    for k in range(4):
        for name in ("cat", "dog"):
            (folder / "set" / name).mkdir(parents=True, exist_ok=True)
            stack = [Image.new("L", (8, 8), 9 * k)] * (2 if k % 2 else 1)
            stack[0].save(folder / f"set/{name}/{k}.tif", save_all=True, append_images=stack[1:])
    with pytest.raises(UserError, match=r"stack of 2 pages(?s:.*)4 of 8 images cannot be used"):
        init_config("set", folder / "conf", {})


def test_classes_without_a_training_row_and_empty_folders_are_told(folder, capsys):
    for place in ("train/cat", "train/dog", "val/cat", "val/dog", "test/fox"):
        for k in range(3):
            (folder / "set" / place).mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 40 * k).save(folder / f"set/{place}/{k}.png")
    (folder / "set/train/owl").mkdir()
    out = init(capsys, "input=set")
    assert "no row of the training split has the class fox" in out
    assert "left out: train/owl (folders without an image)" in out


def evaluated(folder):
    """The metrics of the last evaluation."""
    return json.loads(max((folder / "run/evaluations").glob("*/metrics.json")).read_text())["metrics"]


def test_a_file_of_coco_for_each_split_trains_as_it_is(folder, capsys):
    for split in ("train", "valid"):
        (folder / "set" / split).mkdir(parents=True)
        images = [{"id": k, "file_name": f"{k}.png"} for k in range(4)]
        for k in range(4):
            Image.fromarray(blobs(k, (16, 16))[0]).save(folder / f"set/{split}/{k}.png")
        boxes = [{"image_id": k, "category_id": 1, "bbox": [2, 2, 5, 5]} for k in range(4)]
        content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}
        (folder / f"set/{split}/_annotations.coco.json").write_text(json.dumps(content))
    out = init(capsys, "input=set")
    written = yaml_of(folder, "dataset/set.yaml")
    assert "layout: coco" in written
    assert "split_column: split" in written
    train(out, "backbone.channels=[4,4]")
    best = checkpoint.load(checkpoint.find(folder / "run", "best"))
    (threshold,) = best["calibration"]["boxes"]["thresholds"]
    found = json.loads((folder / "run/summary.json").read_text())["test"]
    assert cli.main_eval(["checkpoint=run", "quiet=true", "bootstrap=0"]) == 0
    assert evaluated(folder) == found
    assert (
        cli.main_eval(["checkpoint=run", "quiet=true", "bootstrap=0", f"tasks.boxes.score_threshold={threshold}"]) == 0
    )
    assert evaluated(folder) == found
    assert cli.main_predict(["checkpoint=run", "input=set", "output=predicted", "quiet=true"]) == 0
    scores = [each["score"] for each in json.loads((folder / "predicted/boxes/boxes.json").read_text())["annotations"]]
    assert min(scores, default=1.0) >= threshold


def test_names_of_images_without_their_ending_are_told(folder):
    (folder / "set/train").mkdir(parents=True)
    for k in range(4):
        Image.new("L", (8, 8)).save(folder / f"set/train/img{k}.png")
    write_csv(folder / "set/train.csv", ["id", "label"], [[f"img{k}", "ab"[k % 2]] for k in range(4)])
    with pytest.raises(UserError, match=r"column 'id' names images without their ending(?s:.*)such as train/img0.png"):
        init_config("set", folder / "conf", {"target": ["label"]})
