"""Two independent numbers in the inputs, which a network can hold only one of: tasks that conflict by construction."""

from typing import Any

import torch

from mtl_cli.batch import FieldSpec, InputSpec
from mtl_cli.datasets.base import DataSource
from tests._toy import ToySplit, config, option


class Conflict(DataSource):
    """Vectors [N, 4] of normal draws; field `first` is the first entry, `second` the second one."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.input_spec = InputSpec("vector", (4,))
        self.field_specs = {name: FieldSpec("real") for name in ("first", "second")}

    def split(self, name: str) -> ToySplit:
        stream = torch.Generator().manual_seed({"train": 1, "val": 2, "test": 3}[name])
        inputs = torch.randn(512 if name == "train" else 256, 4, generator=stream)
        return ToySplit(inputs, {"first": inputs[:, 0].clone(), "second": inputs[:, 1].clone()})


def conflict(epochs: int, lr: float = 0.01, **weighting: Any) -> dict[str, Any]:
    """Return the config of a run on both tasks, through a layer of one unit."""
    dataset = {"_target_": "tests.weightings._conflict.Conflict", "batch_size": 64}
    head = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}
    kind = {"_target_": "mtl_cli.tasks.regression.Regression", "weight": 1.0, "dataset": dataset, "head": head}
    backbone = {
        "_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [16, 1], "dropout": 0.0, "activation": "tanh",
        "init": "default",
    }  # fmt: skip
    return config(
        tasks={name: {**kind, "target": name} for name in ("first", "second")},
        backbone=backbone,
        weighting={**option("weighting", "preference"), **weighting},
        trainer__max_epochs=epochs,
        optimizer__lr=lr,
        trainer__log_every=10000,
    )
