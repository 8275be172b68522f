"""One run on images, a table and texts."""

import csv
import json

import numpy as np
import torch

from mtl_cli import cli
from tests import _toy
from tests.tables._files import defaults, write_csv
from tests.texts import _grammars, _reviews
from tests.texts._runs import backbone, dataset, node, train


def test_image_table_and_text_learn_in_one_run(tmp_path):
    texts = write_csv(tmp_path / "texts.csv", _grammars.HEADER, _grammars.text_table(300, 0))
    stream = torch.Generator().manual_seed(0)
    points = torch.randn(200, 2, generator=stream).tolist()
    table = write_csv(tmp_path / "table.csv", ["a", "b", "y"], [[a, b, "np"[a > b]] for a, b in points])
    targets = {"y": {"kind": "class", "column": "y"}}
    on_table = {"_target_": "mtl_cli.datasets.tabular.Tabular", **defaults("tabular"), "path": str(table)}
    topics = {"topic": {"kind": "class", "column": "topic"}}
    on_texts = dataset("text", texts, topics, batch_size=16)
    tasks = {
        "quadrant": _toy.task("quadrant"),
        "y": node("class", "y", {**on_table, "targets": targets, "batch_size": 16}),
        "topic": node("class", "topic", on_texts),
    }
    small = backbone("mixed", hidden=[32, 32], channels=[8], dropout=0.0)
    found = train(tasks, tmp_path / "run", small, trainer__max_epochs=10, optimizer__lr=0.01)
    assert found["test"]["quadrant/accuracy"] > 0.6
    assert found["test"]["y/accuracy"] > 0.85
    assert found["test"]["topic/accuracy"] > 0.7
    assert found["parameters"]["shared"] == 2 * (32 * 32 + 32)


DATASETS = {
    "pictures": "defaults: [arrays, _self_]\npath: pictures.npz\nstratify: null\n"
    "targets:\n  quadrant: {kind: class, column: quadrant}\n",
    "people": "defaults: [tabular, _self_]\npath: people.csv\ntargets:\n  older: {kind: binary, column: older}\n",
    "reviews": "defaults: [text, _self_]\npath: reviews.csv\ntokenizer: words\nnumeric: [price, day]\n"
    "categorical: [shop]\ntargets:\n  liked: {kind: binary, column: liked}\n  score: {kind: real, column: score}\n",
}
TASKS = {
    "quadrant": ("pictures", "classification.Classification", True),
    "older": ("people", "binary.Binary", True),
    "liked": ("reviews", "binary.Binary", True),
    "score": ("reviews", "regression.Regression", False),
}


def write_conf(folder):
    for name, body in DATASETS.items():
        (folder / "dataset").mkdir(parents=True, exist_ok=True)
        (folder / "dataset" / f"{name}.yaml").write_text(body)
    for name, (data, cls, classes) in TASKS.items():
        (folder / "task").mkdir(exist_ok=True)
        options = "    label_smoothing: 0.0\n    class_weights: null\n    focal_gamma: 0.0\n" if classes else ""
        (folder / "task" / f"{name}.yaml").write_text(
            f"# @package _global_\ndefaults:\n  - /dataset@tasks.{name}.dataset: {data}\n"
            f"tasks:\n  {name}:\n    _target_: mtl_cli.tasks.{cls}\n    target: {name}\n    weight: 1.0\n{options}"
            "    head: {_target_: mtl_cli.heads.mlp.MLPHead, hidden: []}\n"
        )


def write_data(folder):
    stream = np.random.default_rng(0)
    quadrant = stream.integers(4, size=400)
    images = stream.normal(size=(400, 12, 12)) * 0.3
    for image, where in zip(images, quadrant, strict=True):
        image[6 * (where // 2) :, 6 * (where % 2) :][:6, :6] += 2.0
    np.savez(folder / "pictures.npz", x=images.astype(np.float32), quadrant=quadrant)
    ages = stream.integers(18, 80, size=(400, 2)).tolist()
    write_csv(folder / "people.csv", ["one", "other", "older"], [[a, b, "ny"[a > b]] for a, b in ages])
    write_csv(folder / "reviews.csv", _reviews.HEADER, _reviews.table(800, 0))


def test_a_mixed_run_is_yaml_in_a_folder_and_one_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_conf(tmp_path / "conf")
    write_data(tmp_path)
    words = ["--config-dir", "conf", "task=quadrant+older+liked+score", "backbone=mixed", "backbone.dropout=0"]
    words += ["hydra.run.dir=run", "trainer.max_epochs=15", "optimizer.lr=0.01", "data.batch_size=32", "quiet=true"]
    assert cli.main([*words, "trainer.device=cpu", "trainer.precision=fp32"]) == 0
    found = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert found["test"]["quadrant/accuracy"] > 0.9
    assert found["test"]["older/accuracy"] > 0.9
    assert found["test"]["liked/accuracy"] > 0.85
    assert found["test"]["score/rmse"] < 1.4
    assert found["parameters"]["shared"] > 2 * (128 * 128 + 128), "the layers, and the stem of the two of one dataset"
    assert cli.main_predict(["checkpoint=run", "input=reviews.csv", "output=out.csv", "tasks=[liked,score]"]) == 0
    with (tmp_path / "out.csv").open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert len(table) == 800
    assert sum(row["liked"] == row["liked_prediction"] for row in table) > 0.85 * 800
