"""Predictions for arrays and images agree with what an evaluation says of the same rows."""

import csv

import numpy as np
import pytest
from PIL import Image

from mtl_cli.datasets.multi_mnist import MultiMnist
from mtl_cli.errors import UserError
from mtl_cli.runs import run
from mtl_cli.runs.predict import predict
from tests import _toy


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A short run on MultiMNIST, and its test images with their labels."""
    path = tmp_path_factory.mktemp("digits") / "run"
    head = {"_target_": "mtl_cli.heads.mlp.MLPHead"}
    dataset = {"_target_": "mtl_cli.datasets.multi_mnist.MultiMnist", "source": "packaged", "root": None}
    config = _toy.config(
        tasks={
            side: {
                "_target_": "mtl_cli.tasks.classification.Classification", "target": side, "weight": 1.0,
                "label_smoothing": 0.0, "head": head, "dataset": {**dataset, "batch_size": 64},
            }
            for side in ("left", "right")
        },
        backbone={
            "_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [32], "dropout": 0.0, "activation": "relu",
            "init": "default",
        },
        trainer__max_steps=60,
    )  # fmt: skip
    summary = run.train(config, path, [])
    return path, summary["test"], MultiMnist("packaged", None, 64).split("test")


def test_images_of_an_array_and_of_files_are_predicted_alike_and_as_in_the_evaluation(digits, tmp_path):
    path, metrics, split = digits
    np.save(tmp_path / "new.npy", split.images.numpy()[:, 0])
    assert predict(path, tmp_path / "new.npy", tmp_path / "array.csv", {}) == len(split)
    rows = read(tmp_path / "array.csv")
    assert [row["image"] for row in rows] == [str(k) for k in range(len(split))]
    for side in ("left", "right"):
        labels = split.labels(side).tolist()
        right = np.mean([row[f"{side}_prediction"] == str(label) for row, label in zip(rows, labels, strict=True)])
        assert right == pytest.approx(metrics[f"{side}/accuracy"], abs=2e-3)
        assert right > 0.3
    folder = tmp_path / "images" / "below"
    folder.mkdir(parents=True)
    for k in (3, 1, 12):
        Image.fromarray(split.images[k, 0].numpy()).save(folder / f"{k:03}.png")
    assert predict(path, tmp_path / "images", tmp_path / "files.csv", {}) == 3
    found = read(tmp_path / "files.csv")
    assert [row["image"] for row in found] == ["below/001", "below/003", "below/012"]
    for row, k in zip(found, (1, 3, 12), strict=True):
        assert row["left_prediction"] == rows[k]["left_prediction"]
        assert float(row["left_probability_0"]) == pytest.approx(float(rows[k]["left_probability_0"]), abs=1e-6)


def folder(path):
    path.mkdir()


def big(path):
    Image.fromarray(np.zeros((40, 28), np.uint8)).save(path)


def damaged(path):
    path.write_bytes(b"\x89PNG\r\n")


def floats(path):
    np.save(path, np.zeros((2, 28, 28)))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("empty", folder, "holds no images"),
        ("big.png", big, "is 28×40 pixels; .* of 28×28"),
        ("bad.png", damaged, "cannot be read as an image"),
        ("a.npy", floats, r"float64 \[2, 28, 28\]; .*uint8"),
        ("b.npy", damaged, "cannot be read as an array"),
        ("a.csv", damaged, "reads new inputs such as"),
    ],
)
def test_bad_images_end_in_a_sentence_and_leave_nothing(digits, tmp_path, name, make, message):
    source = tmp_path / name
    make(source)
    with pytest.raises(UserError, match=message):
        predict(digits[0], source, tmp_path / "out.csv", {})
    assert not (tmp_path / "out.csv").exists()


def test_the_output_of_images_is_a_table_as_text(digits, tmp_path):
    np.save(tmp_path / "new.npy", np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(UserError, match=r"written as CSV or TSV. Give output=.*out\.csv"):
        predict(digits[0], tmp_path / "new.npy", tmp_path / "out.parquet", {})
    assert predict(digits[0], tmp_path / "new.npy", tmp_path / "out.tsv", {"tasks": ["left"]}) == 2
    assert (tmp_path / "out.tsv").read_text().startswith("image\tleft_prediction\t")


def test_images_may_be_predicted_into_a_folder(digits, tmp_path):
    np.save(tmp_path / "new.npy", np.zeros((2, 28, 28), np.uint8))
    assert predict(digits[0], tmp_path / "new.npy", tmp_path / "out", {}) == 2
    assert predict(digits[0], tmp_path / "new.npy", tmp_path / "out.csv", {}) == 2
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["table.csv"]
    assert (tmp_path / "out/table.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    with pytest.raises(UserError, match=r"holds files already\. Give a new folder"):
        predict(digits[0], tmp_path / "new.npy", tmp_path / "out", {})


def test_arrays_are_predicted_from_archives_folders_and_single_files(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = 2.0 * x[:, 0] - x[:, 1]
    np.savez(tmp_path / "train.npz", x=x, y=y)
    dataset = {
        "_target_": "mtl_cli.datasets.arrays.Arrays", "root": None, "path": str(tmp_path / "train.npz"),
        "val_path": None, "test_path": None, "input": "x", "targets": {"y": {"kind": "real", "column": "y"}},
        "scale": "standard", "split_column": None, "group_column": None, "val_fraction": 0.2, "test_fraction": 0.2,
        "split_seed": 0, "stratify": None, "folds": None, "fold": 0, "balance": None, "memory_mb": 64, "batch_size": 20,
    }  # fmt: skip
    task = {
        "_target_": "mtl_cli.tasks.regression.Regression", "target": "y", "weight": 1.0,
        "head": {"_target_": "mtl_cli.heads.mlp.MLPHead"}, "dataset": dataset,
    }  # fmt: skip
    backbone = {
        "_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [16], "dropout": 0.0, "activation": "relu",
        "init": "default",
    }  # fmt: skip
    run.train(_toy.config(tasks={"y": task}, backbone=backbone, trainer__max_steps=300), tmp_path / "run", [])
    new = rng.normal(size=(25, 3)).astype(np.float32)
    np.savez(tmp_path / "new.npz", x=new)
    np.save(tmp_path / "single.npy", new)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "x.npy", new)
    tables = []
    for source in ("new.npz", "single.npy", "folder"):
        assert predict(tmp_path / "run", tmp_path / source, tmp_path / f"{source}.csv", {"batch_size": 10}) == 25
        tables.append([float(row["y_prediction"]) for row in read(tmp_path / f"{source}.csv")])
    assert tables[0] == tables[1] == tables[2]
    assert np.corrcoef(tables[0], 2.0 * new[:, 0] - new[:, 1])[0, 1] > 0.98
    np.save(tmp_path / "wrong.npy", new[:, :2])
    with pytest.raises(UserError, match="2"):
        predict(tmp_path / "run", tmp_path / "wrong.npy", tmp_path / "out.csv", {})
    np.save(tmp_path / "none.npy", new[:0])
    assert predict(tmp_path / "run", tmp_path / "none.npy", tmp_path / "none.csv", {}) == 0
    assert (tmp_path / "none.csv").read_text() == "row,y_prediction\n"
