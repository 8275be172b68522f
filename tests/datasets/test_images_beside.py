"""Images with table columns and texts beside them: read, augmented, kept in a checkpoint, read anew, refused."""

import csv
import logging

import numpy as np
import pytest
import torch
from PIL import Image

import mtl_cli
from mtl_cli import cli
from mtl_cli.bundles.encoders import PICTURE_ROWS
from mtl_cli.errors import UserError
from mtl_cli.serving.requests import Inputs
from mtl_cli.storage import checkpoint
from mtl_cli.tables.given import given
from tests.images._files import blob_set, images
from tests.tables._files import write_csv

COLUMNS = {"numeric": ["age"], "categorical": ["site"], "text": "note"}
TARGETS = {"kind": {"kind": "binary", "column": "kind"}}
WORDS = ("a dark and cold night", "a bright and warm day")


def image_set(folder, count=16):
    """Images whose kind is told by brightness and site together, and whose mood is told by the note alone."""
    (folder / "images").mkdir(parents=True)
    stream, rows = np.random.default_rng(0), []
    for k in range(count):
        bright, site, mood = k & 1, k >> 1 & 1, k >> 2 & 1
        pixels = stream.normal(80 + 90 * bright, 15, (12, 12, 3)).clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"images/{k:03}.png")
        note = f"{WORDS[mood]} at {k}"
        rows.append([f"images/{k:03}.png", k * 0.5, "ns"[site], note, bright ^ site, "uv"[mood], f"code-{k * 7919}"])
    return write_csv(folder / "table.csv", ["image", "age", "site", "note", "kind", "mood", "id"], rows)


def source(path, **changes):
    return images(path, **{"targets": TARGETS, **COLUMNS, **changes})


def test_a_row_is_an_image_with_its_columns_and_text(tmp_path):
    made = source(image_set(tmp_path), size=[12, 12], flip=0.5)
    assert made.input_spec.kind == "image_row"
    found = made.split("train").__getitems__(torch.arange(4))
    assert found.inputs["image"].shape == (4, 3, 12, 12)
    assert found.inputs["numeric"].shape == (4, 1)
    assert found.inputs["there"].tolist() == [1.0] * 4
    assert found.inputs["ids"].shape == found.inputs["mask"].shape
    row = made.split("train").apart(torch.tensor([1]), {})[0]
    changed = made.augmentation(row)
    assert torch.equal(changed.inputs["numeric"], found.inputs["numeric"][1])
    assert changed.inputs["image"].shape == (3, 12, 12)


def test_a_checkpoint_reads_new_rows_as_training_did(tmp_path):
    path = image_set(tmp_path)
    made = source(path)
    again = source(path, opened=False)
    again.load_state_dict(made.state_dict())
    assert again.input_spec == made.input_spec
    (read,) = again.reading(path).batches(100)
    known = made.split("test").__getitems__(torch.arange(len(made.split("test"))))
    ages = read.inputs["numeric"][:, 0].tolist()
    for age, pixels in zip(known.inputs["numeric"][:, 0].tolist(), known.inputs["image"], strict=True):
        assert torch.equal(read.inputs["image"][ages.index(age)], pixels)
    (folder,) = again.reading(tmp_path).batches(100)
    assert torch.equal(folder.inputs["ids"], read.inputs["ids"]), "the table in the folder is read"


def test_images_without_their_columns_are_told(tmp_path, caplog):
    made = source(image_set(tmp_path))
    with caplog.at_level(logging.WARNING):
        (read,) = made.reading(tmp_path / "images").batches(100)
    assert "gives images alone, and the model also reads note, age, site" in caplog.text
    assert not read.inputs["there"].any()
    assert len(read.inputs["ids"]) == 16


def test_columns_that_new_rows_lack_count_as_missing(tmp_path, caplog):
    made = source(image_set(tmp_path))
    row = {"image": str(tmp_path / "images/000.png"), "age": 1.0, "site": "n", "note": "a warm day"}
    (read,) = made.reading_of(given([row])).batches(10)
    assert read.inputs["there"].tolist() == [1.0]
    (empty,) = made.reading_of(given([row | {"site": None, "note": None}])).batches(10)
    with caplog.at_level(logging.WARNING):
        (short,) = made.reading_of(given([{"image": row["image"], "age": 1.0}])).batches(10)
    assert "The input has no column note, site, which count as missing" in caplog.text
    assert empty.inputs.keys() == short.inputs.keys()
    for name, value in empty.inputs.items():
        assert torch.equal(value, short.inputs[name]), name
    (alone,) = made.reading_of(given([{"image": row["image"]}])).batches(10)
    assert alone.inputs["there"].tolist() == [0.0]
    with pytest.raises(UserError, match=r"no column 'site'\. Did you mean 'Site'"):
        made.reading_of(given([{"Site" if name == "site" else name: cell for name, cell in row.items()}]))


def test_mtl_init_leaves_out_how_many_objects_a_mask_has(tmp_path, monkeypatch, capsys):
    blob_set(tmp_path / "set", count=20, sizes=((32, 32),))
    monkeypatch.chdir(tmp_path)
    assert cli.main_init(["input=set/table.csv", "target=[instances]", "output=conf"]) == 0
    assert "left out count: it is the number of objects of instances" in capsys.readouterr().out
    written = (tmp_path / "conf/dataset/table.yaml").read_text()
    assert "categorical: [kind]" in written
    assert "numeric" not in written


@pytest.mark.parametrize("columns", [{"categorical": ["kind"]}, {"text": "kind"}])
def test_an_answer_is_not_an_input(tmp_path, columns):
    with pytest.raises(UserError, match="leak into the question"):
        source(image_set(tmp_path), **columns)


@pytest.mark.slow
def test_mtl_init_proposes_columns_and_what_it_writes_learns_from_them(tmp_path, monkeypatch, capsys):
    image_set(tmp_path / "set", 96)
    monkeypatch.chdir(tmp_path)
    assert cli.main_init(["input=set/table.csv", "target=[kind,mood]", "output=conf"]) == 0, capsys.readouterr().err
    written = (tmp_path / "conf/dataset/table.yaml").read_text()
    assert all(line in written for line in ("numeric: [age]", "categorical: [site]", "text: [note]", "left out: id"))
    words = [
        "--config-dir",
        "conf",
        "task=kind+mood",
        "backbone=cnn",
        "backbone.channels=[8,16]",
        "backbone.dense=[16]",
    ]
    more = ["trainer.max_epochs=40", "data.batch_size=16", "trainer.device=cpu", "trainer.precision=fp32", "quiet=true"]
    assert cli.main([*words, *more, "backbone.norm=group", "optimizer.lr=0.01", "hydra.run.dir=run"]) == 0
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    assert list((tmp_path / "run").rglob("samples.png"))
    assert cli.main_predict(["checkpoint=run", "input=set/table.csv", "output=table.csv", "quiet=true"]) == 0
    assert cli.main_predict(["checkpoint=run", "input=set/images", "output=folder.csv", "quiet=true"]) == 0
    with (tmp_path / "table.csv").open() as file, (tmp_path / "set/table.csv").open() as truth:
        pairs = list(zip(csv.DictReader(file), csv.DictReader(truth), strict=True))
    assert cli.main_export(["checkpoint=run", "output=bundle", "quiet=true"]) == 0, capsys.readouterr().err
    with (tmp_path / "set/table.csv").open() as file:
        rows = [{**row, "image": f"set/{row['image']}"} for row in csv.DictReader(file)]
    found = mtl_cli.load("bundle").predict(rows)
    assert list(found["kind_prediction"]) == [row["kind_prediction"] for row, _ in pairs]
    assert cli.main_export(["checkpoint=run", "output=graph", "format=onnx", "quiet=true"]) == 2
    assert "Use format=torch" in capsys.readouterr().err
    with pytest.raises(UserError, match="which are not served"):
        Inputs([PICTURE_ROWS], 10)
    for task in ("kind", "mood"):
        assert np.mean([row[f"{task}_prediction"] == true[task] for row, true in pairs]) > 0.8, task


@pytest.mark.slow
def test_a_resumed_run_is_an_undisturbed_one(tmp_path, monkeypatch, capsys):
    image_set(tmp_path / "set", 32)
    monkeypatch.chdir(tmp_path)
    assert cli.main_init(["input=set/table.csv", "target=[kind,mood]", "output=conf"]) == 0, capsys.readouterr().err
    words = ["--config-dir", "conf", "task=kind+mood", "backbone=cnn", "backbone.channels=[8]", "backbone.dense=[8]"]
    words += ["data.batch_size=8", "trainer.device=cpu", "trainer.precision=fp32", "quiet=true", "lr_schedule=constant"]
    assert cli.main([*words, "trainer.max_epochs=4", "hydra.run.dir=whole"]) == 0
    assert cli.main([*words, "trainer.max_epochs=2", "hydra.run.dir=parts"]) == 0
    assert cli.main(["resume=parts", "trainer.max_epochs=4"]) == 0
    whole, parts = (checkpoint.load(checkpoint.find(tmp_path / run, "last"))["model"] for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
