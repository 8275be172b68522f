"""A tiny dataset with two learnable tasks, for tests of whole runs that take a second."""

from collections.abc import Mapping
from typing import Any

import torch
import yaml
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, FieldSpec, InputSpec, Sample
from mtl_cli.config.shipped import conf_dir
from mtl_cli.datasets.base import DataSource

SIZES = {"train": 48, "val": 24, "test": 24}


class ToySplit:
    """Images [N, 1, 12, 12] of noise with a bright quadrant (field `quadrant`) and a sign (field `sign`)."""

    def __init__(self, images: Tensor, fields: Mapping[str, Tensor]) -> None:
        self.images, self.fields = images, dict(fields)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: Tensor) -> Sample:
        return Sample(self.images[indices], {name: field[indices] for name, field in self.fields.items()})

    def labels(self, field: str) -> Tensor:
        return self.fields[field]


class Toy(DataSource):
    """Four quadrants and two signs; `missing` is the share of quadrants without a label, `shuffled` labels are noise.

    `poison` makes the image of that training row infinite.
    """

    def __init__(self, seed: int, batch_size: int, missing: float, shuffled: bool, poison: int, size: int) -> None:
        if size < 2:
            raise ValueError(f"size is {size}; it is 2 or more.")
        self.batch_size, self.size = batch_size, size
        self.input_spec = InputSpec("image", (1, 12, 12))
        self.field_specs = {"quadrant": FieldSpec("class", 4, ("a", "b", "c", "d")), "sign": FieldSpec("class", 2)}
        self._splits = {name: self._make(seed * 10 + k, rows) for k, (name, rows) in enumerate(self.rows().items())}
        train = self._splits["train"]
        if missing:
            stream = torch.Generator().manual_seed(seed)
            lost = torch.rand(len(train), generator=stream) < missing
            train.fields["quadrant"] = train.fields["quadrant"].masked_fill(lost, MISSING_CLASS)
        if shuffled:
            for split in self._splits.values():
                stream = torch.Generator().manual_seed(seed)
                split.fields = {
                    name: field[torch.randperm(len(field), generator=stream)] for name, field in split.fields.items()
                }
        if poison >= 0:
            train.images[poison] = torch.inf

    def rows(self) -> dict[str, int]:
        return {**SIZES, "train": self.size}

    def split(self, name: str) -> ToySplit:
        return self._splits[name]

    @staticmethod
    def _make(seed: int, rows: int) -> ToySplit:
        stream = torch.Generator().manual_seed(seed)
        images = torch.randn(rows, 1, 12, 12, generator=stream) * 0.3
        quadrant = torch.randint(4, (rows,), generator=stream)
        sign = torch.randint(2, (rows,), generator=stream)
        for row in range(rows):
            top, left = 6 * int(quadrant[row] // 2), 6 * int(quadrant[row] % 2)
            images[row, 0, top : top + 6, left : left + 6] += 2.0 * (2 * int(sign[row]) - 1)
        return ToySplit(images, {"quadrant": quadrant, "sign": sign})


def dataset(**changes: Any) -> dict[str, Any]:
    """Return the config node of a toy dataset."""
    node = {"_target_": "tests._toy.Toy", "seed": 1, "batch_size": 16, "missing": 0.0, "shuffled": False}
    return {**node, "poison": -1, "size": SIZES["train"], **changes}


def task(field: str, weight: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Return the config node of a task on a field of a toy dataset, whose arguments `changes` are."""
    return {
        "dataset": dataset(**changes),
        "_target_": "mtl_cli.tasks.classification.Classification",
        "target": field,
        "weight": weight,
        "label_smoothing": 0.0,
        "head": {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []},
    }


def option(group: str, name: str) -> dict[str, Any]:
    """Return the node of an option of a conf group; where it wants a task or its stage (???), the toy's first one."""
    node = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    wanted = {"attach": {"quadrant": 1}, "primary": "quadrant"}
    return {key: wanted[key] if value == "???" else value for key, value in node.items()}


def dense(**changes: Any) -> dict[str, Any]:
    """Return changes of `config`: a U-Net of real stages and heads that read its skips; `changes` are the dataset's."""
    head = {"_target_": "tests.sharing._unet.SkipHead"}
    tasks = {field: {**task(field, **changes), "head": head} for field in ("quadrant", "sign")}
    return {"backbone": {"_target_": "tests.sharing._unet.UNet"}, "tasks": tasks}


def config(**changes: Any) -> dict[str, Any]:
    """Return the config of a run of two epochs on two tasks of one toy dataset; in `changes`, `__` stands for a dot."""
    base: dict[str, Any] = {
        "seed": 0, "deterministic": False, "debug": False, "verbose": False, "quiet": False, "logger": "none",
        "dry_run": False, "lr_range_test": False, "overfit": None, "resume": None,
        "init_from": None, "freeze": "none", "trust": ["tests"],
        "data": {"source": "packaged", "root": None, "batch_size": 16, "workers": 0, "folds": None, "fold": 0,
                 "inner_folds": None, "inner_fold": 0, "train_on": "train"},
        "trainer": {
            "max_epochs": 2, "max_steps": None, "eval_every": 1, "device": "cpu", "precision": "fp32",
            "eval_precision": "fp32", "threads": None, "accumulate": 1, "devices": 1, "strategy": "ddp",
            "batch_norm": "sync", "clip_norm": None, "log_every": 2,
            "on_nonfinite": "stop", "profile": False, "compile": False,
        },
        "save": {"every": None, "every_minutes": None, "keep": 2},
        "early_stopping": {"metric": None, "patience": None},
        "ema": {"decay": None},
        "privacy": {"epsilon": None, "delta": None, "noise": None, "clip_norm": 1.0},
        "selection": {"metric": "skill"},
        "tasks": {"quadrant": task("quadrant"), "sign": task("sign")},
        "backbone": {
            "_target_": "mtl_cli.backbones.cnn.CNN", "channels": [4], "dense": [16], "dropout": 0.1,
            "activation": "relu", "norm": "none", "init": "default",
        },
        "sharing": {"_target_": "mtl_cli.sharing.hard.Hard"},
        "weighting": {"_target_": "mtl_cli.weightings.fixed.Fixed"},
        "schedule": {"_target_": "mtl_cli.schedules.joint.Joint", "epoch_length": "longest"},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01, "weight_decay": 0.01, "fused": True},
        "lr_schedule": {"_target_": "mtl_cli.lr_schedules.Cosine", "min_factor": 0.0, "warmup_steps": 2},
    }  # fmt: skip
    for key, value in changes.items():
        *path, last = key.split("__")
        node = base
        for part in path:
            node = node[part]
        node[last] = value
    return base
