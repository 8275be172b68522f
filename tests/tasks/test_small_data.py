"""Linnerud's 20 athletes, 3 × 3 columns: a vector regression of a very small table, from a CSV file to predictions."""

import csv

import numpy as np
from sklearn.datasets import load_linnerud

from mtl_cli.runs import run
from mtl_cli.runs.predict import predict
from tests import _toy
from tests.tables._files import defaults, write_csv


def test_a_table_of_twenty_rows_is_fitted_and_predicted_in_its_own_units(tmp_path):
    data = load_linnerud()
    inputs, answers = list(data.feature_names), list(data.target_names)
    body = np.hstack([data.data, data.target])
    path = write_csv(tmp_path / "linnerud.csv", [*inputs, *answers], body.tolist())
    targets = {"body": {"kind": "real", "columns": answers}}
    node = {
        "_target_": "mtl_cli.tasks.regression.Regression", "target": "body", "weight": 1.0,
        "head": {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []},
        "dataset": {
            "_target_": "mtl_cli.datasets.tabular.Tabular", **defaults("tabular"), "path": str(path),
            "targets": targets, "batch_size": 16,
        },
    }  # fmt: skip
    backbone = {"_target_": "mtl_cli.backbones.tabular.Tabular", "hidden": [16], "embedding": 4, "dropout": 0.0}
    config = _toy.config(
        tasks={"body": node},
        backbone={**backbone, "activation": "relu", "init": "default"},
        trainer__max_epochs=60,
        trainer__eval_every=60,
    )
    test = run.train(config, tmp_path / "run", [])["test"]
    assert all(np.isfinite(value) for value in test.values())
    predict(tmp_path / "run", path, tmp_path / "out.csv", {})
    with (tmp_path / "out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[6:] == [f"body_prediction_{name}" for name in answers]
    predicted = np.array(rows, dtype=float)[:, 6:]
    error = np.sqrt(np.square(predicted - data.target).mean(axis=0)) / data.target.std(axis=0)
    assert error.mean() < 0.95  # 14 of the 20 rows were fitted
