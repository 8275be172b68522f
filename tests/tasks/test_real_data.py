"""Small real tables: not worse than linear models of scikit-learn, as means over 5 folds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mtl_cli.runs import run
from tests import _toy
from tests.tasks._inputs import CLASSES
from tests.tasks._sklearn import folds, table

SETS = {
    "diabetes": ("regression", "r2", Ridge()),
    "wine": ("classification", "accuracy", LogisticRegression()),
    "breast_cancer": ("binary", "accuracy", LogisticRegression()),
}


def ours(name, fold, directory):
    """The test metric of a network with one small hidden layer."""
    kind, metric, _ = SETS[name]
    cls, options = CLASSES[kind]
    node = {
        "dataset": {"_target_": "tests.tasks._sklearn.Bundled", "name": name, "fold": fold, "batch_size": 32},
        "_target_": f"{cls.__module__}.{cls.__name__}", "target": "label", "weight": 1.0,
        "head": {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}, **options,
    }  # fmt: skip
    backbone = {"_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [32], "dropout": 0.1, "activation": "relu"}
    config = _toy.config(
        tasks={name: node},
        backbone={**backbone, "init": "default"},
        optimizer={"_target_": "torch.optim.AdamW", "lr": 0.003, "weight_decay": 0.01, "fused": True},
        ema__decay=0.98,
        trainer__max_epochs=30,
        trainer__eval_every=3,
        trainer__log_every=100,
        save__keep=1,
    )
    return run.train(config, directory, [])["test"][f"{name}/{metric}"]


def theirs(name, fold):
    x, y = table(name)
    train, test = folds(name)[fold]
    model = make_pipeline(StandardScaler(), SETS[name][2]).fit(x[train], y[train])
    predicted = model.predict(x[test])
    return r2_score(y[test], predicted) if name == "diabetes" else float((predicted == y[test]).mean())


@pytest.mark.slow  # 20 s
@pytest.mark.parametrize("name", SETS)
def test_five_folds_are_not_worse_by_two_points_than_a_linear_model(name, tmp_path):
    """Measured: diabetes R² 0.488 against 0.490, accuracy: wine 0.977 against 0.983, cancer 0.977 against 0.979."""
    mine = np.mean([ours(name, fold, tmp_path / str(fold)) for fold in range(5)])
    assert mine >= np.mean([theirs(name, fold) for fold in range(5)]) - 0.02
