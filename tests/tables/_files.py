"""Small files of tables, and datasets on them with the defaults of their YAML."""

import csv
from pathlib import Path
from typing import Any

import torch
import yaml

from mtl_cli.config.options import gathered
from mtl_cli.datasets.arrays import Arrays
from mtl_cli.datasets.tabular import Tabular

CONF = Path(__file__).parents[2] / "conf" / "dataset"


def write_csv(path, header, rows, delimiter=",", encoding="utf-8"):
    """Write a file, None as an empty cell, and return its path."""
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return path


def defaults(name: str) -> dict[str, Any]:
    """Return the arguments of a dataset's YAML, with the defaults of data.* in the place of interpolations."""
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    del node["_target_"]
    return node | {"root": None, "folds": None, "fold": 0, "batch_size": 4}


def made(cls: type, values: dict[str, Any]) -> Any:
    """Return an instance of a class from the values of its keys in YAML."""
    return cls(**gathered(cls, values))


def tabular(path, opened=True, **changes: Any) -> Tabular:
    """Return a tabular dataset on a file."""
    targets = changes.pop("targets", {"y": {"kind": "class", "column": "y"}})
    source = made(Tabular, defaults("tabular") | {"path": str(path), "targets": targets} | changes)
    if opened:
        source.open()
    return source


def arrays(path, opened=True, **changes: Any) -> Arrays:
    """Return a dataset of arrays on a file or folder."""
    targets = changes.pop("targets", {"y": {"kind": "class", "column": "y"}})
    source = made(Arrays, defaults("arrays") | {"path": str(path), "targets": targets} | changes)
    if opened:
        source.open()
    return source


def everything(source, split):
    """Return all rows of a split."""
    dataset = source.split(split)
    return dataset.__getitems__(torch.arange(len(dataset)))
