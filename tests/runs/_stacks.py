"""Jobs with many tasks of one form, computed as one or one by one."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.config.run_config import checked
from mtl_cli.config.targets import Trust
from mtl_cli.runs import stacking
from mtl_cli.runs.build import build

CONF = Path(__file__).parents[2] / "conf"
NUMBERS, ANSWERS = 9, 8
CLASSES = {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}


def write_data(folder, rows=90, missing=0.3):
    """Write inputs [N, 6], numbers n0 … n8 and answers a0 … a7, of which some are missing, and a class of three."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, 6)).astype(np.float32)
    signal = np.tanh(inputs @ rng.normal(size=(6, NUMBERS + ANSWERS)))
    labels = 10 * (signal + 0.3 * rng.normal(size=signal.shape)) * np.arange(1, NUMBERS + ANSWERS + 1)
    labels[:, NUMBERS:] = labels[:, NUMBERS:] > 0
    labels[rng.random(labels.shape) < missing] = np.nan
    columns = {f"n{k}": labels[:, k] for k in range(NUMBERS)}
    columns |= {f"a{k}": labels[:, NUMBERS + k] for k in range(ANSWERS)}
    made = {name: column.astype(np.float32) for name, column in columns.items()}
    np.savez(folder / "made.npz", x=inputs, c=inputs[:, :3].argmax(axis=1), **made)


MLP = ("backbone=mlp", "backbone.hidden=[16,8]")


def config_of(overrides=(), head=(), own=None, answers=None, kind="Regression", backbone=MLP):
    """Return a config with a group of numbers and one of answers; `own` are values of single tasks."""
    own = own or {}
    arrays = yaml.safe_load((CONF / "dataset" / "arrays.yaml").read_text())
    with hydra_session(None) as session:
        config = plain_config(session.compose([*backbone, "quiet=true", *overrides]))
    shared = {
        "weight": 1.0,
        "head": {
            "_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": list(head), "dropout": 0.0, "activation": "relu",
            "init": "default",
        },
        "dataset": {**arrays, "path": "made.npz"},
    }  # fmt: skip
    config["tasks"] = {
        "numbers": {
            "_target_": f"mtl_cli.tasks.regression.{kind}",
            "targets": {f"n{k}": own.get(f"n{k}", {}) for k in range(NUMBERS)},
            **({"delta": 0.5} if kind == "HuberRegression" else {}),
            **shared,
        },
        "answers": {
            "_target_": "mtl_cli.tasks.binary.Binary",
            "targets": {f"a{k}": own.get(f"a{k}", {}) for k in range(ANSWERS)},
            **CLASSES,
            **(answers or {}),
            **shared,
        },
    }
    return config


def job_of(config, together, monkeypatch):
    """Return the job of a config whose tasks are computed as one, or one by one."""
    with monkeypatch.context() as patch:
        patch.setattr(stacking, "FEWEST", 2 if together else 10**9)
        return build(checked(config), Trust()).job


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """Work in an empty folder that holds the data."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path
