"""Tasks in groups: those of one group are nearly the same function of the inputs, others have nothing to do."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, InputSpec, LabelledSplit, Sample
from mtl_cli.datasets.base import DataSource
from tests._toy import config

WIDTH, ROWS, NAMES = 16, 2048, "abcdefghijkl"


class Rows(LabelledSplit):
    """Vectors and the classes of all tasks."""

    def __init__(self, inputs: Tensor, fields: dict[str, Tensor]) -> None:
        self.inputs, self.fields = inputs, fields

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitems__(self, indices: Tensor) -> Sample:
        return Sample(self.inputs[indices], {name: field[indices] for name, field in self.fields.items()})

    def labels(self, field: str) -> Tensor:
        return self.fields[field]


def groups_of(seed: int, tasks: int, groups: int) -> list[int]:
    """Return the group of each task: each has two tasks or more, in a random order."""
    stream = np.random.RandomState(seed)
    of_task = [*range(groups), *range(groups), *stream.randint(groups, size=tasks - 2 * groups).tolist()]
    stream.shuffle(of_task)
    return of_task


class Planted(DataSource):
    """Task t says on which side of a hyperplane a point is; the normals of a group are 15 degrees from its own."""

    def __init__(self, seed: int, tasks: int, groups: int, batch_size: int) -> None:
        self.batch_size = batch_size
        self.input_spec = InputSpec("vector", (WIDTH,))
        names = NAMES[:tasks]
        self.field_specs = {name: FieldSpec("class", 2) for name in names}
        stream = np.random.RandomState(seed)
        centres = np.linalg.qr(stream.randn(WIDTH, WIDTH))[0]
        normals = [0.97 * centres[group] + 0.26 * centres[groups + place]
                   for place, group in enumerate(groups_of(seed, tasks, groups))]  # fmt: skip
        self._splits = {}
        for split in ("train", "val", "test"):
            x = stream.randn(ROWS if split == "train" else 64, WIDTH)
            fields = {
                name: torch.from_numpy((x @ normal > 0).astype(np.int64))
                for name, normal in zip(names, normals, strict=True)
            }
            self._splits[split] = Rows(torch.from_numpy(x).float(), fields)

    def split(self, name: str) -> Rows:
        return self._splits[name]


def planted(seed: int, tasks: int, groups: int, **changes: Any) -> dict[str, Any]:
    """Return the config of a joint run of a generated problem."""
    source = {"_target_": "tests.affinity._planted.Planted", "seed": seed, "tasks": tasks, "groups": groups}
    head = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}
    node = {
        "_target_": "mtl_cli.tasks.classification.Classification",
        "weight": 1.0,
        "label_smoothing": 0.0,
        "head": head,
    }
    nodes = {name: {**node, "dataset": {**source, "batch_size": 128}, "target": name} for name in NAMES[:tasks]}
    backbone = {"_target_": "mtl_cli.backbones.mlp.MLP", "hidden": [16], "dropout": 0.0, "activation": "relu",
                "init": "default"}  # fmt: skip
    return config(tasks=nodes, backbone=backbone, seed=seed, trainer__max_epochs=3, **changes)
