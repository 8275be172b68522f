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
ANSWERED = {
    "a": {"_target_": "mtl_cli.tasks.binary.Binary", **CLASSES},
    "c": {"_target_": "mtl_cli.tasks.classification.Classification", **CLASSES},
    "l": {"_target_": "mtl_cli.tasks.multilabel.Multilabel"},
}
"""Kinds of task by the letter that the names of their targets begin with."""


def write_data(folder, rows=90, missing=0.3):
    """Write inputs [N, 6], numbers n0 … n8 and answers, of which some are missing, and a class of three.

    Answers are yes or no, a0 … a7, one of three classes, c0 … c7, and three labels each, l0 … l7.
    """
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, 6)).astype(np.float32)
    signal = np.tanh(inputs @ rng.normal(size=(6, NUMBERS + ANSWERS)))
    labels = 10 * (signal + 0.3 * rng.normal(size=signal.shape)) * np.arange(1, NUMBERS + ANSWERS + 1)
    bounds = np.quantile(labels[:, NUMBERS:], [0.3, 0.6], axis=0)
    sorts = (labels[:, NUMBERS:] > bounds[:, None]).sum(axis=0).astype(float)
    labels[:, NUMBERS:] = labels[:, NUMBERS:] > 0
    labels[rng.random(labels.shape) < missing] = np.nan
    sets = (sorts[:, :, None] != np.arange(3)).astype(np.float32)
    sets[rng.random(sets.shape) < missing] = np.nan
    sorts[np.isnan(labels[:, NUMBERS:])] = np.nan
    columns = {f"n{k}": labels[:, k] for k in range(NUMBERS)}
    columns |= {f"a{k}": labels[:, NUMBERS + k] for k in range(ANSWERS)}
    columns |= {f"{letter}{k}": each[:, k] for letter, each in (("c", sorts), ("l", sets)) for k in range(ANSWERS)}
    made = {name: column.astype(np.float32) for name, column in columns.items()}
    np.savez(folder / "made.npz", x=inputs, c=inputs[:, :3].argmax(axis=1), **made)


MLP = ("backbone=mlp", "backbone.hidden=[16,8]")


def config_of(overrides=(), head=(), own=None, answers=None, kind="Regression", backbone=MLP, answered="a"):
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
            "targets": {name: own.get(name, {}) for name in (f"{answered}{k}" for k in range(ANSWERS))},
            **ANSWERED[answered],
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
