"""From a resolved config to the objects of a run; the only place that turns a `_target_` into an instance."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from mtl_cli.backbones.base import Backbone, BackboneFactory
from mtl_cli.batch import FieldSpec, Inputs, with_statistics
from mtl_cli.config.targets import Component, Trust
from mtl_cli.config.task_groups import GROUPS
from mtl_cli.datasets.base import SPLITS, DataSource
from mtl_cli.errors import UserError, nearest
from mtl_cli.model.costs import Costs, costs
from mtl_cli.model.ema import EMA
from mtl_cli.model.fit import misfits
from mtl_cli.model.multi_task_model import MultiTaskModel, build_heads, partition
from mtl_cli.model.transfer import freeze, warm_start
from mtl_cli.runs.checks import check_labels, check_metrics, weighting_problems
from mtl_cli.runs.components import Components, bind_all, collect, group_datasets, make_source, state_of, wanted_fields
from mtl_cli.schedules.base import Schedule
from mtl_cli.seeding import seeded
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import make_arithmetic
from mtl_cli.training.dynamo import lean
from mtl_cli.training.job import Job, Plan
from mtl_cli.training.loading import Stream
from mtl_cli.training.order import Order
from mtl_cli.training.step import Learner
from mtl_cli.weightings.base import Weighting

_sources: dict[str, DataSource] = {}
"""Datasets of the job before, by config: the jobs of a sweep read them once."""


@dataclass(frozen=True)
class Built:
    """A job, and what its head and summary print."""

    job: Job
    costs: Costs
    datasets: dict[str, list[str]]
    sources: dict[str, DataSource]


def open_datasets(
    config: Mapping[str, Any], components: Components, states: Mapping[str, Any] | None
) -> dict[str, DataSource]:
    """Return the data source of each dataset; one that the job before had open is taken from there.

    Raises:
        UserError: every dataset that cannot be read.
    """
    problems: list[str] = []
    sources: dict[str, DataSource] = {}
    keys: dict[str, DataSource] = {}
    dataset_of = group_datasets(config)
    for dataset in dict.fromkeys(dataset_of.values()):
        wanted = wanted_fields(components, dataset_of, dataset)
        key = json.dumps([config["tasks"][dataset]["dataset"], *map(asdict, wanted)], sort_keys=True)
        state = state_of(dataset, states)
        source = None if state else _sources.get(key)
        if source is None:
            source = collect(problems, partial(make_source, components.datasets[dataset], wanted, state))
        if source is None:
            continue
        sources[dataset] = source
        if not state:  # one that holds an earlier run's state is that run's alone
            keys[key] = source
    if problems:
        raise UserError(problems)
    _sources.clear()
    _sources.update(keys)
    return sources


def fields_of(sources: Mapping[str, DataSource]) -> dict[str, dict[str, FieldSpec]]:
    """Return the label fields of each opened dataset, with the statistics of its training labels."""
    return {
        name: {
            field: with_statistics(spec, source.split("train").labels(field))
            for field, spec in source.field_specs.items()
        }
        for name, source in sources.items()
    }


def make_tasks(
    components: Components, fields_of: Mapping[str, Mapping[str, FieldSpec]], dataset_of: Mapping[str, str]
) -> dict[str, Task]:
    """Return the tasks, each with the spec of its label field, which `fields_of` has by dataset and name.

    Raises:
        UserError: every task whose field its dataset lacks, or that refuses its arguments.
    """
    problems: list[str] = []
    tasks: dict[str, Task] = {}
    for name, component in components.tasks.items():
        fields, target = fields_of[dataset_of[name]], str(component.arguments.get("target"))
        if target not in fields:
            known = ", ".join(fields)
            problems.append(
                f"tasks.{name}.target is '{target}'; its dataset has no such field.{nearest(target, fields)} "
                f"Fields: {known}."
            )
            continue
        tasks[name] = collect(problems, partial(component.make, name=name, field=fields[target]))
    if problems:
        raise UserError(problems)
    if not any(task.weight > 0 for task in tasks.values()):
        raise UserError("Every task has weight 0, so nothing would be trained. Set tasks.<name>.weight=1.")
    return tasks


def make_plan(config: Mapping[str, Any]) -> Plan:
    """Return the trainer's plain knobs."""
    trainer, save, stopping = config["trainer"], config["save"], config["early_stopping"]
    return Plan(
        max_epochs=trainer["max_epochs"],
        max_steps=trainer["max_steps"],
        eval_every=trainer["eval_every"],
        accumulate=trainer["accumulate"],
        clip_norm=trainer["clip_norm"],
        log_every=trainer["log_every"],
        on_nonfinite=trainer["on_nonfinite"],
        save_every=save["every"],
        save_every_minutes=save["every_minutes"],
        keep=save["keep"],
        selection=config["selection"]["metric"],
        stop_metric=stopping["metric"],
        patience=stopping["patience"],
    )


def make_streams(
    sources: Mapping[str, DataSource], dataset_of: Mapping[str, str], tasks: Mapping[str, Task], split: str, seed: int,
    device: torch.device, workers: int,
) -> dict[str, Stream]:  # fmt: skip
    """Return the batches of one split by dataset, with the targets of `tasks`; datasets without a task are left out."""
    assert split in SPLITS
    streams = {}
    for dataset, source in sources.items():
        targets = {name: task.target for name, task in tasks.items() if dataset_of[name] == dataset}
        if targets:
            rows = source.split(split)
            by = source.balance if split == "train" else None
            classes = None if by is None else rows.labels(by)
            lengths = getattr(rows, "lengths", None)
            order = Order(len(rows), source.batch_size, dataset, seed, classes, lengths)
            marks = {name: tasks[name].label_marks for name in targets}
            streams[dataset] = Stream(rows, dataset, targets, order, device, workers, marks)
    return streams


def make_optimizer(component: Component, model: torch.nn.Module, weighting: Weighting) -> torch.optim.Optimizer:
    """Return the optimizer: the model's trained parameters, and the weighting's own in a group without decay."""
    groups: list[dict[str, Any]] = [{"params": [p for p in model.parameters() if p.requires_grad]}]
    own = list(weighting.parameters())
    if own:
        groups.append({"params": own, "lr": weighting.lr, "weight_decay": 0.0})
    optimizer = lean(component.make(params=groups))
    for group in optimizer.param_groups:
        group["base_lr"] = group["lr"]
    return optimizer


def build(
    config: Mapping[str, Any],
    trust: Trust,
    states: Mapping[str, Any] | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> Built:
    """Return everything that a run of a resolved config needs.

    `states` are datasets' states from a checkpoint, `start` the weights of the model that `init_from` names.

    Raises:
        UserError: every problem found, before the first step.
    """
    components = bind_all(config, trust)
    arithmetic, plan, seed = make_arithmetic(config), make_plan(config), config["seed"]
    dataset_of = group_datasets(config)
    sources = open_datasets(config, components, states)
    tasks = make_tasks(components, fields_of(sources), dataset_of)
    check_labels(tasks, sources, dataset_of)
    trained = {name: task for name, task in tasks.items() if task.weight > 0}
    examples = {name: Inputs(source.example().inputs, name) for name, source in sources.items()}
    model, factory = make_model(components, tasks, sources, dataset_of, examples, seed)
    if start is not None:
        warm_start(model, start, config["init_from"])
    freeze(model, config["freeze"], factory.num_stages, started=config["init_from"] is not None)
    parts = partition(model, examples, {name: dataset_of[name] for name in trained})
    with seeded(seed, "weighting"):
        weighting: Weighting = components.weighting.make(tasks=list(trained))
    costs_of_model = costs(model, parts, factory, tasks, examples)
    model.to(arithmetic.device)
    weighting.to(arithmetic.device)
    if config["trainer"]["compile"]:
        from mtl_cli.model.compiling import compile_model  # its imports take a second

        compile_model(model)
    workers = config["data"]["workers"]
    train = make_streams(sources, dataset_of, trained, "train", seed, arithmetic.device, workers)
    steps = {name: -(-stream.order.batches // plan.accumulate) for name, stream in train.items()}
    schedule: Schedule = components.schedule.make(
        steps_per_pass=steps,
        sizes={name: stream.order.size for name, stream in train.items()},
        dataset_of={name: dataset_of[name] for name in trained},
        seed=seed,
    )
    problems = check_metrics(config, tasks)
    learner = Learner(model, trained, parts, arithmetic, seed)
    problems += weighting_problems(weighting, learner, schedule, train)
    if problems:
        raise UserError(problems)
    job = Job(
        learner=learner,
        tasks=tasks,
        weighting=weighting,
        schedule=schedule,
        optimizer=make_optimizer(components.optimizer, model, weighting),
        lr_schedule=components.lr_schedule.make(),
        ema=None if config["ema"]["decay"] is None else EMA(model, config["ema"]["decay"]),
        train=train,
        val=make_streams(sources, dataset_of, tasks, "val", seed, arithmetic.device, 0),
        test=make_streams(sources, dataset_of, tasks, "test", seed, arithmetic.device, 0),
        dataset_states={name: source.state_dict() for name, source in sources.items()},
        plan=plan,
        groups=config.get(GROUPS, {}),
    )
    return Built(job, costs_of_model, {d: [t for t in dataset_of if dataset_of[t] == d] for d in sources}, sources)


def make_model(
    components: Components, tasks: Mapping[str, Task], sources: Mapping[str, DataSource], dataset_of: Mapping[str, str],
    examples: Mapping[str, Inputs], seed: int,
) -> tuple[MultiTaskModel, BackboneFactory]:  # fmt: skip
    """Return the model on the CPU, and the factory of its stages.

    Raises:
        UserError: the backbone cannot take the inputs, or sharing mode and heads do not fit it.
    """
    backbone: Backbone = components.backbone.make()
    specs = {name: source.input_spec for name, source in sources.items()}
    try:
        readers = [name for name, task in tasks.items() if task.head.reads_skips]
        factory = BackboneFactory(backbone, examples, specs, dict(dataset_of), seed, readers)
        with seeded(seed, "sharing"):
            sharing: Sharing = components.sharing.make(backbone=factory, tasks=list(tasks))
        if problems := misfits(tasks, sharing.specs, factory):
            raise UserError(problems)
        return MultiTaskModel(sharing, build_heads(tasks, sharing, seed)), factory
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error
