"""Runs of a few steps on small data of every kind, for tests of what is done with a trained model."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv

from mtl_cli import cli
from mtl_cli.runs import run
from tests import _kinds
from tests.images._files import blob_set

KINDS = ("table", "arrays", "text", "conll")


def train(kind, folder, **changes):
    """Train on data of a kind in a folder; return the run's directory."""
    _kinds.write_files(folder)
    run.train(_kinds.config(kind, folder, trainer__max_steps=6, **changes), folder / "run", [])
    return folder / "run"


def train_pictures(folder):
    """Train on images with label images, boxes and a class; return the run's directory."""
    import mtl_cli

    blob_set(folder)
    words = [f"input={folder / 'table.csv'}", "target=[instances,kind]", f"output={folder / 'conf'}"]
    assert cli.main_init(words) == 0
    overrides = {
        "task": "instances+kind", "backbone": "unet", "backbone.channels": [4, 8], "trainer.max_steps": 3,
        "data.batch_size": 4, "hydra.run.dir": str(folder / "run"),
    }  # fmt: skip
    return mtl_cli.train(overrides, config_dir=folder / "conf", quiet=True).path


def columns_written(path):
    """Return the columns of a CSV file as lists of text."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def assert_same(columns, written, tolerance=1e-6):
    """Compare columns in memory with those of a file: numbers within a tolerance, texts exactly."""
    assert set(columns) <= set(written)
    assert columns
    for name, values in columns.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, np.array(written[name], dtype=float), atol=tolerance, err_msg=name)
        else:
            assert [str(value) for value in values] == list(map(str, written[name])), name


def rows_of(path):
    """Return the rows of a CSV file as mappings, numbers as numbers."""
    return pa.csv.read_csv(path).to_pylist()


def read_json(path):
    """Return what a JSON file holds."""
    return json.loads(path.read_text())
