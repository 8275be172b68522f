"""The classes that a config names, with arguments that fit their signatures."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from mtl_cli.backbones.base import Backbone
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import UserError
from mtl_cli.lr_schedules import LRSchedule
from mtl_cli.schedules.base import Schedule
from mtl_cli.sharing.base import Sharing
from mtl_cli.targets import Component, Trust, bind
from mtl_cli.tasks.base import Task
from mtl_cli.weightings.base import Weighting


@dataclass(frozen=True)
class Components:
    """The classes that a config names, with arguments that fit their signatures."""

    tasks: dict[str, Component]
    datasets: dict[str, Component]
    backbone: Component
    sharing: Component
    weighting: Component
    schedule: Component
    optimizer: Component
    lr_schedule: Component


def collect(problems: list[str], make: Callable[[], Any]) -> Any:  # noqa: ANN401  what `make` returns, or None
    """Return what `make` returns; a UserError's problems go into `problems` instead."""
    try:
        return make()
    except UserError as error:
        problems += error.problems
        return None


def bind_all(config: Mapping[str, Any], trust: Trust) -> Components:
    """Return every component of a resolved config, and try out those that need no data.

    Raises:
        UserError: every misfit of all components.
    """
    problems: list[str] = []

    def bound(key: str, kind: type, runtime: Sequence[str]) -> Component:
        return collect(problems, lambda: bind(config[key], kind, key, trust, runtime))

    tasks, datasets = {}, {}
    for name, node in config["tasks"].items():
        own = {key: value for key, value in node.items() if key != "dataset"}
        where = f"tasks.{name}"
        tasks[name] = collect(problems, partial(bind, own, Task, where, trust, ("name", "field")))
        datasets[name] = collect(problems, partial(bind, node.get("dataset"), DataSource, f"{where}.dataset", trust))
    components = Components(
        tasks=tasks,
        datasets=datasets,
        backbone=bound("backbone", Backbone, ()),
        sharing=bound("sharing", Sharing, ("backbone", "tasks")),
        weighting=bound("weighting", Weighting, ("tasks",)),
        schedule=bound("schedule", Schedule, ("steps_per_pass", "sizes", "dataset_of", "seed")),
        optimizer=bound("optimizer", torch.optim.Optimizer, ("params",)),
        lr_schedule=bound("lr_schedule", LRSchedule, ()),
    )
    dry: list[tuple[Component, dict[str, Any]]] = [(components.backbone, {}), (components.lr_schedule, {})]
    dry += [(components.weighting, {"tasks": list(config["tasks"])})]
    dry += [(components.optimizer, {"params": [torch.nn.Parameter(torch.zeros(1))]})]
    for component, runtime in dry:
        if component is not None:
            collect(problems, partial(component.make, **runtime))
    if problems:
        raise UserError(problems)
    return components


def group_datasets(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the dataset of each task: tasks whose dataset nodes are equal share one, named after the first of them."""
    names: dict[str, str] = {}
    of = {}
    for task, node in config["tasks"].items():
        key = json.dumps(node["dataset"], sort_keys=True)
        of[task] = names.setdefault(key, task)
    return of
