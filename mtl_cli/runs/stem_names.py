"""Weights of one run with stems named as in another run: a stem is named after the first task of its dataset.

So the stem of one table has another name in a run of its column A and in a run of its column B.
"""

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mtl_cli.config.interpolation import resolve
from mtl_cli.config.run_config import load_run_config
from mtl_cli.config.task_groups import expand
from mtl_cli.layers.named_modules import safe
from mtl_cli.storage.checkpoint import weights_of

Config = Mapping[str, Any]
FREE = ("batch_size", "cache_dir")
"""Options of a dataset that do not make another one."""


def first_tasks(config: Config) -> dict[str, str]:
    """Return the first task of each dataset, after which its stem is named, by the options of the dataset."""
    found: dict[str, str] = {}
    for task, node in config["tasks"].items():
        options = {key: value for key, value in node["dataset"].items() if key not in FREE}
        found.setdefault(json.dumps(options, sort_keys=True), task)
    return found


def renamed(state: Mapping[str, Any], mine: Config) -> dict[str, Tensor]:
    """Return the weights of a checkpoint with the stems of common datasets named as in the config `mine`."""
    theirs, own = first_tasks(config_of(state)), first_tasks(mine)
    names = {theirs[key]: own[key] for key in theirs if key in own}
    weights, found = weights_of(state), {}
    moved = {name: _moved(name, names) for name in weights}
    for name in sorted(weights, key=lambda name: moved[name] is not None):  # what is moved goes before its namesake
        found[moved[name] or name] = weights[name]
    return found


def _moved(name: str, names: Mapping[str, str]) -> str | None:
    """Return the name of a weight of a stem with the other task in it; None for all other weights."""
    for old, new in names.items():
        if f".stems.{safe(old)}." in name:
            return name.replace(f".stems.{safe(old)}.", f".stems.{safe(new)}.", 1)
    return None


def config_of(state: Mapping[str, Any]) -> Config:
    """Return the config of a checkpoint, its groups of tasks expanded."""
    return expand(resolve(load_run_config(state["config"])))
