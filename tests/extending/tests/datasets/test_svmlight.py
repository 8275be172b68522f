import csv

import numpy as np
import pytest
import torch
from mtl_cli.datasets.svmlight import SVMLight
from sklearn.datasets import dump_svmlight_file

from mtl_cli.errors import UserError
from mtl_cli.runs import run
from mtl_cli.runs.predict import predict
from tests import _toy


@pytest.fixture
def files(tmp_path):
    """Files written by scikit-learn, of a class that the sign of the first feature tells; and what they hold."""
    stream, held = np.random.default_rng(0), {}
    for name, rows in (("train", 200), ("val", 50), ("test", 60)):
        x = stream.normal(size=(rows, 4)) * (stream.random((rows, 4)) < 0.7)
        held[name] = (x, (x[:, 0] > 0).astype(int))
        dump_svmlight_file(*held[name], str(tmp_path / f"{name}.svm"), zero_based=False)
    return tmp_path, held


def test_rows_are_what_scikit_learn_wrote(files):
    folder, held = files
    source = SVMLight(str(folder), 4, 2, 16)
    source.open()
    for name, (x, y) in held.items():
        rows = source.full_split(name).__getitems__(torch.arange(len(x)))
        np.testing.assert_allclose(rows.inputs.numpy(), x, rtol=1e-6)
        assert rows.fields["label"].tolist() == y.tolist()


def test_a_line_that_does_not_fit_is_named(files):
    folder, _ = files
    (folder / "val.svm").write_text("1 1:2\n0 9:1\n")
    with pytest.raises(UserError, match=r"val\.svm, line 2: '0 9:1' is not"):
        SVMLight(str(folder), 4, 2, 16).open()


def test_predictions_of_a_file_are_as_good_as_the_evaluation_says(files):
    folder, held = files
    task = {
        "_target_": "mtl_cli.tasks.classification.Classification", "target": "label", "weight": 1.0,
        "label_smoothing": 0.0, "head": {"_target_": "mtl_cli.heads.mlp.MLPHead"},
        "dataset": {
            "_target_": "mtl_cli.datasets.svmlight.SVMLight", "path": str(folder), "num_features": 4, "num_classes": 2,
            "batch_size": 20,
        },
    }  # fmt: skip
    backbone = {"_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [8], "dropout": 0.0, "activation": "relu"}
    config = _toy.config(tasks={"sign": task}, backbone={**backbone, "init": "default"}, trainer__max_epochs=5)
    tested = run.train(config, folder / "run", [])["test"]
    predict(folder / "run", folder / "test.svm", folder / "out.csv", {})
    with (folder / "out.csv").open(newline="") as file:
        found = [int(row["sign_prediction"]) for row in csv.DictReader(file)]
    accuracy = np.mean(np.array(found) == held["test"][1])
    assert accuracy == pytest.approx(tested["sign/accuracy"], abs=1e-6)
    assert accuracy > 0.8
