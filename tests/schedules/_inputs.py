"""Schedules of conf/schedule on small runs."""

import importlib
import inspect
from pathlib import Path
from typing import Any

import yaml

from mtl_cli.schedules.base import Schedule

CONF = Path(__file__).parents[2] / "conf" / "schedule"
SCHEDULES = sorted(path.stem for path in CONF.glob("*.yaml"))
assert "joint" in SCHEDULES, "the schedules are found in conf/schedule"
assert len(SCHEDULES) > 3

SIZES = {"big": 800, "small": 200}
DATASET_OF = {"a": "big", "b": "small", "c": "big"}


def config(name: str) -> tuple[type[Schedule], dict[str, Any]]:
    """Return the class and the arguments that a schedule's YAML gives."""
    settings = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    module, cls = settings.pop("_target_").rsplit(".", 1)
    return getattr(importlib.import_module(module), cls), settings


def schedule(name: str, seed: int = 0, dataset_of: dict[str, str] | None = None, **overrides: Any) -> Schedule:
    """Return a schedule built from its YAML and overrides, on datasets of 8 and 2 batches."""
    cls, settings = config(name)
    return cls(
        **settings | overrides,
        steps_per_pass={"big": 8, "small": 2},
        sizes=SIZES,
        dataset_of=DATASET_OF if dataset_of is None else dataset_of,
        seed=seed,
    )


def settable(cls: type[Schedule]) -> list[str]:
    """Return the arguments that YAML gives."""
    parameters = inspect.signature(cls).parameters.values()
    return [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY]
