"""Whole runs: many small batches are the same as one large batch, also where labels are missing unevenly."""

import torch

from mtl_cli.runs import run
from mtl_cli.storage import checkpoint
from tests import _toy
from tests.tasks._generated import FIELDS
from tests.tasks._inputs import CLASSES

EXACT = [kind for kind in FIELDS if CLASSES[kind][0].adds_up]


def weights(directory, batch_size, accumulate):
    """Return the weights after 3 steps of all exact kinds together."""
    tasks = {}
    for kind in EXACT:
        cls, options = CLASSES[kind]
        dataset = {"_target_": "tests.tasks._generated.Generated", "seed": 2, "batch_size": batch_size, "missing": 0.6}
        head = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}
        options = options | ({"class_weights": [1.0, 5.0], "focal_gamma": 2.0} if kind == "binary" else {})
        node = {"_target_": f"{cls.__module__}.{cls.__name__}", "target": kind, "weight": 1.0, "head": head, **options}
        tasks[kind] = {"dataset": {**dataset, "shuffled": False}, **node}
    backbone = {"_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [16], "dropout": 0.0, "activation": "tanh"}
    config = _toy.config(
        tasks=tasks,
        backbone={**backbone, "init": "default"},
        optimizer={"_target_": "torch.optim.SGD", "lr": 0.05},
        trainer__accumulate=accumulate,
        trainer__max_epochs=None,
        trainer__max_steps=3,
    )
    run.train(config, directory, [])
    return checkpoint.load(checkpoint.find(directory, "last"))["model"]


def test_accumulated_batches_equal_the_large_batch_for_every_kind(tmp_path):
    large, small = weights(tmp_path / "large", 128, 1), weights(tmp_path / "small", 32, 4)
    for name, values in large.items():
        assert torch.allclose(small[name], values, rtol=1e-4, atol=1e-6), name
