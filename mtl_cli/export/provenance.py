"""Where a bundle comes from: its run's data, commands, metrics and machine, for the card."""

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from mtl_cli import __version__
from mtl_cli.config.run_config import config_hash, load_run_config
from mtl_cli.files import read_json
from mtl_cli.privacy.budget import Budget
from mtl_cli.runs.data_files import FILES
from mtl_cli.runs.environment import processor


@dataclass(frozen=True)
class DataFile:
    """Files that an option of a dataset names: their name, number and digest."""

    dataset: str
    name: str
    files: int
    digest: str


def data_files(state: Mapping[str, Any]) -> list[DataFile]:
    """Return the files of the run's datasets; paths without their folders, which may say more than they should."""
    tasks = load_run_config(state["config"])["tasks"]
    found = []
    for dataset, of_dataset in state["datasets"].items():
        node = tasks.get(dataset, {}).get("dataset", {})
        for key, each in ((of_dataset or {}).get(FILES) or {}).items():
            found.append(DataFile(dataset, Path(str(node.get(key) or key)).name, int(each["files"]), each["digest"]))
    return found


def commands(file: Path, state: Mapping[str, Any], command: Sequence[str]) -> list[str]:
    """Return the commands that made a bundle: that of the run, which may tell its seed, unless this is private."""
    trained = None if is_private(state) else read_json(file.parent.parent / "environment.json").get("command")
    first = [trained] if isinstance(trained, list) else []
    return [shlex.join(map(str, words)) for words in (*first, command)]


def machine() -> str:
    """Return the versions and the hardware of this machine, in words."""
    return (
        f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of torch; mtl-cli {__version__}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def is_private(state: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint's run was private."""
    config = load_run_config(state["config"])
    return "privacy" in config and Budget.of(config) is not None


def without_seed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's state; of a private run without the seed, from which its noise could be drawn again."""
    if not is_private(state):
        return dict(state)
    config = {**load_run_config(state["config"]), "seed": 0}
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return {**state, "config": text, "config_hash": config_hash(config)}


def intervals_of(checkpoint: Path) -> dict[str, Any]:
    """Return the intervals of metrics on test rows that the newest evaluation of a checkpoint found, if any."""
    for path in sorted((checkpoint.parent.parent / "evaluations").glob(f"{checkpoint.stem}_test_*/metrics.json"))[::-1]:
        found = read_json(path).get("intervals")
        if isinstance(found, dict):
            return {key: ends for key, ends in found.items() if isinstance(ends, list) and len(ends) == 2}
    return {}


def summary_of(checkpoint: Path) -> dict[str, Any]:
    """Return summary.json of the run that a checkpoint lies in, empty where there is none."""
    return read_json(checkpoint.parent.parent / "summary.json")
