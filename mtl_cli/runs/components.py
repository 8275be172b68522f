"""The classes that a config names, with arguments that fit their signatures."""

import contextlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import WantedField
from mtl_cli.config.targets import Component, Trust, bind, locate
from mtl_cli.config.task_groups import GROUPS, METRICS, READING, once_per_group
from mtl_cli.datasets.base import DataSource
from mtl_cli.datasets.division_base import Division
from mtl_cli.errors import UserError
from mtl_cli.lr_schedules import LRSchedule
from mtl_cli.runs.data_files import FILES, fingerprints
from mtl_cli.schedules.base import Schedule
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.training.dynamo import leave_out
from mtl_cli.weightings.base import Weighting

LR_FACTORS = "lr_factors"
"""Where the optimizer's node says what learning rates of parts of the model are, over `lr`."""
SUMMARIES = "labels"
"""Where a dataset's state in a checkpoint holds what is known of its tasks' labels, beside the source's own state."""


@dataclass(frozen=True)
class Components:
    """The classes that a config names, with arguments that fit their signatures."""

    tasks: dict[str, Component]
    readings: dict[str, dict[str, Any]]
    """What each task's node says of how its label field is read."""
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
    leave_out()  # optimizers are made here first
    problems: list[str] = []

    def bound(key: str, kind: type, runtime: Sequence[str]) -> Component:
        return collect(problems, lambda: bind(config[key], kind, key, trust, runtime))

    tasks: dict[str, Component] = {}
    datasets: dict[str, Component] = {}
    readings: dict[str, dict[str, Any]] = {}
    bound_datasets: dict[int, Component] = {}  # tasks of a group share one node
    for name, node in config["tasks"].items():
        where, dataset = f"tasks.{name}", node.get("dataset")
        own, readings[name] = divided(node, where, trust)
        tasks[name] = collect(problems, partial(bind_task, own, where, trust, node.get(METRICS)))
        if id(dataset) not in bound_datasets:
            bind_dataset = partial(bind, dataset, DataSource, f"{where}.dataset", trust)
            bound_datasets[id(dataset)] = collect(problems, bind_dataset)
        datasets[name] = bound_datasets[id(dataset)]
    components = Components(
        tasks=tasks,
        readings=readings,
        datasets=datasets,
        backbone=bound("backbone", Backbone, ()),
        sharing=bound("sharing", Sharing, ("backbone", "tasks")),
        weighting=bound("weighting", Weighting, ("tasks",)),
        schedule=bound("schedule", Schedule, ("steps_per_pass", "sizes", "dataset_of", "seed")),
        optimizer=collect(
            problems, partial(bind, own_arguments(config), torch.optim.Optimizer, "optimizer", trust, ("params",))
        ),
        lr_schedule=bound("lr_schedule", LRSchedule, ()),
    )
    dry: list[tuple[Component, dict[str, Any]]] = [(components.backbone, {}), (components.lr_schedule, {})]
    dry += [(components.weighting, {"tasks": list(config["tasks"])})]
    dry += [(components.optimizer, {"params": [torch.nn.Parameter(torch.zeros(1))]})]
    for component, runtime in dry:
        if component is not None:
            collect(problems, partial(component.make, **runtime))
    if problems:
        raise UserError(once_per_group(problems, config.get(GROUPS, {})))
    return components


def own_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the optimizer's node without what it does not know itself: the learning rates of parts of the model."""
    return {key: value for key, value in config["optimizer"].items() if key != LR_FACTORS}


def divided(node: Mapping[str, Any], where: str, trust: Trust) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what of a task's node its class takes, and what says how its label field is read."""
    takes: Mapping[str, object] = {}
    with contextlib.suppress(UserError):  # binding reports it
        takes = inspect.signature(locate(node.get("_target_"), Task, where, trust)).parameters
    reading = {key: node[key] for key in READING if key in node and key not in takes}
    apart = {"dataset", *reading, *({METRICS} - set(takes))}
    return {key: value for key, value in node.items() if key not in apart}, reading


@dataclass(frozen=True)
class TaskComponent(Component):
    """A kind of task with its arguments, and the metrics that are to be reported."""

    metrics: tuple[str, ...] = ()

    def make(self, **runtime: Any) -> Any:  # noqa: ANN401  what the class makes
        """Return a new task.

        Raises:
            UserError: it refuses its arguments, or has no such metric.
        """
        task = super().make(**runtime)
        try:
            task.choose_metrics(self.metrics)
        except ValueError as error:
            raise UserError(str(error)) from error
        return task


def bind_task(own: dict[str, Any], where: str, trust: Trust, chosen: object) -> Component:
    """Return a kind of task with its arguments, and the metrics of its node that are `chosen` where it names some.

    Raises:
        UserError: the node does not fit.
    """
    component = bind(own, Task, where, trust, ("name", "field"))
    if chosen is None or METRICS in own:
        return component
    names = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}.{METRICS} is {chosen!r}; it is a list of names, such as ++{where}.{METRICS}=[f1].")
    return TaskComponent(**vars(component), metrics=tuple(names))


def wanted_fields(components: Components, dataset_of: Mapping[str, str], dataset: str) -> list[WantedField]:
    """Return the label fields that the tasks of a dataset need, one per task."""
    found = []
    for name, task in components.tasks.items():
        if dataset_of[name] == dataset:
            assert issubclass(task.cls, Task), "bound as one"
            target = str(task.arguments.get("target"))
            found.append(WantedField(target, name, task.cls.field_kind, components.readings[name]))
    return found


def state_of(dataset: str, states: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return what a checkpoint holds of a dataset, empty where that is nothing.

    Raises:
        UserError: it is not a state.
    """
    state = (states or {}).get(dataset)
    if state is not None and not isinstance(state, Mapping):
        raise UserError(f"The checkpoint's state of the dataset of '{dataset}' is of type {type(state).__name__}.")
    return state or {}


def make_source(
    component: Component,
    wanted: Sequence[WantedField],
    state: Mapping[str, Any],
    opened: bool = True,
    compare: Callable[[DataSource], None] | None = None,
    division: Division = Division(),  # noqa: B008  frozen
) -> DataSource:
    """Return a new data source of the `wanted` label fields.

    With a checkpoint's state it fits nothing, and is `opened` on demand. `compare` sees it before it is opened.

    Raises:
        UserError: its arguments do not fit, its files cannot be read, or the state is not one of it.
    """
    source: DataSource = component.make()
    source.division = division
    own = {key: value for key, value in state.items() if key not in (SUMMARIES, FILES)}
    try:
        source.want(wanted)
        if opened:
            fingerprints(source)
        if compare is not None:
            compare(source)
        if own:
            source.load_state_dict(own)
        if opened or not own:
            source.open()
    except UserError as error:
        raise UserError(component.with_whole_keys(error.problems)) from error
    except Exception as error:  # nonsense in the place of a state may raise anything
        if not own:
            raise
        raise UserError(
            f"{component.where}: the checkpoint's state of this dataset cannot be used: {type(error).__name__}: "
            f"{str(error)[:200]}. debug=true shows where."
        ) from error
    return source


def group_datasets(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the dataset of each task: tasks whose dataset nodes are equal share one, named after the first of them."""
    names: dict[str, str] = {}
    dataset_of: dict[str, str] = {}
    texts: dict[int, str] = {}  # tasks of a group share one node
    for task, node in config["tasks"].items():
        dataset = node["dataset"]
        if id(dataset) not in texts:
            texts[id(dataset)] = json.dumps(dataset, sort_keys=True)
        dataset_of[task] = names.setdefault(texts[id(dataset)], task)
    return dataset_of
