"""From a resolved config to the objects of a run; the only place that turns a `_target_` into an instance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import torch

from mtl_cli.backbones.base import Backbone, BackboneFactory
from mtl_cli.batch import FieldSpec, Inputs
from mtl_cli.config.targets import Component, Trust
from mtl_cli.config.task_groups import GROUPS
from mtl_cli.datasets.base import SPLITS, DataSource
from mtl_cli.errors import UserError
from mtl_cli.model.costs import Costs, costs
from mtl_cli.model.ema import EMA
from mtl_cli.model.fit import misfits
from mtl_cli.model.multi_task_model import MultiTaskModel, build_heads, partition
from mtl_cli.model.transfer import freeze, warm_start
from mtl_cli.runs.checks import check_metrics, weighting_problems
from mtl_cli.runs.components import Components, bind_all, collect, group_datasets, make_source, state_of, wanted_fields
from mtl_cli.runs.summaries import check_fields, state_with, summarise, wanted_by
from mtl_cli.schedules.base import Schedule
from mtl_cli.seeding import seeded
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.summary_base import LabelSummary
from mtl_cli.training.arithmetic import make_arithmetic
from mtl_cli.training.dynamo import lean
from mtl_cli.training.job import Job, Plan
from mtl_cli.training.loading import Stream
from mtl_cli.training.order import Order
from mtl_cli.training.step import Learner
from mtl_cli.weightings.base import Partition, Weighting

_sources: dict[str, DataSource] = {}
"""Datasets of the job before, by config: the jobs of a sweep read them once."""


@dataclass(frozen=True)
class Data:
    """The opened datasets of a run, the dataset of each task, and two real rows of each dataset's inputs."""

    sources: dict[str, DataSource]
    dataset_of: dict[str, str]

    @cached_property
    def examples(self) -> dict[str, Inputs]:
        """Inputs by dataset, for the dry run that finds shapes."""
        return {name: Inputs(source.example().inputs, name) for name, source in self.sources.items()}

    def tasks_of(self, dataset: str) -> list[str]:
        """Return the tasks of a dataset."""
        return [task for task, own in self.dataset_of.items() if own == dataset]


@dataclass(frozen=True)
class Built:
    """A job, and what its head and summary print."""

    job: Job
    costs: Costs
    data: Data


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


def make_tasks(components: Mapping[str, Component], fields: Mapping[str, FieldSpec]) -> dict[str, Task]:
    """Return the tasks, each with the spec of its label field (by task).

    Raises:
        UserError: every task that refuses its arguments; or no task is to be trained.
    """
    problems: list[str] = []
    tasks: dict[str, Task] = {}
    for name, component in components.items():
        tasks[name] = collect(problems, partial(component.make, name=name, field=fields[name]))
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
    data: Data, tasks: Mapping[str, Task], split: str, seed: int, device: torch.device, workers: int = 0
) -> dict[str, Stream]:
    """Return the batches of one split by dataset, with the targets of `tasks`; datasets without a task are left out."""
    assert split in SPLITS
    streams = {}
    for dataset, source in data.sources.items():
        own = {name: task for name, task in tasks.items() if data.dataset_of[name] == dataset}
        if not own:
            continue
        rows, by = source.full_split(split), source.balance if split == "train" else None
        classes = None if by is None else rows.classes(by)
        augmentation = source.augmentation
        if split != "train" and augmentation and not any(task.target in augmentation.adds for task in own.values()):
            augmentation = None
        streams[dataset] = Stream(
            rows,
            dataset,
            {name: task.target for name, task in own.items()},
            Order(len(rows), source.batch_size, dataset, seed, classes, rows.lengths),
            device,
            workers,
            {name: task.label_marks for name, task in own.items()},
            augmentation,
            source.all_fields,
        )
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


@dataclass(frozen=True)
class Modelled:
    """A model with what is known of it: which parameters are shared, and what it costs."""

    model: MultiTaskModel
    partition: Partition
    costs: Costs


def build(
    config: Mapping[str, Any],
    trust: Trust,
    states: Mapping[str, Any] | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
) -> Built:
    """Return everything that a run of a resolved config needs.

    1. Every class that the config names is found, its arguments checked.
    2. The datasets are opened; labels are summed up, of a checkpoint's `states` where it tells.
    3. Tasks, then the model, with the weights `start` of the run that `init_from` names.
    4. Streams of batches, schedule, weighting; whether they go together.

    Raises:
        UserError: every problem found, before the first step.
    """
    components = bind_all(config, trust)
    arithmetic, plan, seed = make_arithmetic(config), make_plan(config), config["seed"]
    data = Data(open_datasets(config, components, states), group_datasets(config))
    summaries = summarise_labels(components.tasks, data, states, seed)
    tasks = make_tasks(components.tasks, {name: summary.spec() for name, summary in summaries.items()})
    trained = {name: task for name, task in tasks.items() if task.weight > 0}
    modelled = prepare_model(config, components, tasks, data, start)
    modelled.model.to(arithmetic.device)
    if config["trainer"]["compile"]:
        from mtl_cli.model.compiling import compile_model  # its imports take a second

        compile_model(modelled.model)
    train = make_streams(data, trained, "train", seed, arithmetic.device, config["data"]["workers"])
    schedule = make_schedule(components.schedule, train, data, list(trained), plan, seed)
    with seeded(seed, "weighting"):
        weighting: Weighting = components.weighting.make(tasks=list(trained))
    weighting.to(arithmetic.device)
    learner = Learner(modelled.model, trained, modelled.partition, arithmetic, seed)
    always = all(summaries[name].fully_labelled and keeps_labels(data, name) for name in trained)
    problems = check_metrics(config, tasks) + weighting_problems(weighting, learner, schedule, train, always)
    if problems:
        raise UserError(problems)
    decay = config["ema"]["decay"]
    job = Job(
        learner=learner,
        tasks=tasks,
        weighting=weighting,
        schedule=schedule,
        optimizer=make_optimizer(components.optimizer, modelled.model, weighting),
        lr_schedule=components.lr_schedule.make(),
        ema=None if decay is None else EMA(modelled.model, decay),
        train=train,
        val=make_streams(data, tasks, "val", seed, arithmetic.device),
        test=make_streams(data, tasks, "test", seed, arithmetic.device),
        dataset_states={
            name: state_with(source, {task: summaries[task] for task in data.tasks_of(name)})
            for name, source in data.sources.items()
        },
        summaries=summaries,
        plan=plan,
        groups=config.get(GROUPS, {}),
    )
    return Built(job, modelled.costs, data)


def summarise_labels(
    components: Mapping[str, Component], data: Data, states: Mapping[str, Any] | None, seed: int
) -> dict[str, LabelSummary]:
    """Return what training must know of each task's labels.

    Raises:
        UserError: a task's field does not exist, or holds labels that its kind cannot use.
    """
    wanted = wanted_by(components)
    check_fields(wanted, data.sources, data.dataset_of)
    told = {dataset: state_of(dataset, states) for dataset in data.sources}
    return summarise(wanted, data.sources, data.dataset_of, told, seed)


def keeps_labels(data: Data, task: str) -> bool:
    """Return whether the rows of a task keep their labels when they are drawn."""
    augmentation = data.sources[data.dataset_of[task]].augmentation
    return augmentation is None or augmentation.keeps_labels


def prepare_model(
    config: Mapping[str, Any],
    components: Components,
    tasks: Mapping[str, Task],
    data: Data,
    start: Mapping[str, torch.Tensor] | None,
) -> Modelled:
    """Return the model on the CPU: with the weights that it starts from, and frozen where that is asked for.

    Raises:
        UserError: backbone, sharing mode and heads do not fit each other or the inputs, or `start` does not fit them.
    """
    model, factory = make_model(components, tasks, data, config["seed"])
    if start is not None:
        warm_start(model, start, config["init_from"])
    freeze(model, config["freeze"], factory.num_stages, started=config["init_from"] is not None)
    trained = {name: data.dataset_of[name] for name, task in tasks.items() if task.weight > 0}
    parts = partition(model, data.examples, trained)
    return Modelled(model, parts, costs(model, parts, factory, tasks, data.examples))


def make_schedule(
    component: Component, train: Mapping[str, Stream], data: Data, trained: Sequence[str], plan: Plan, seed: int
) -> Schedule:
    """Return the schedule of the trained tasks."""
    return component.make(
        steps_per_pass={name: -(-stream.order.batches // plan.accumulate) for name, stream in train.items()},
        sizes={name: stream.order.size for name, stream in train.items()},
        dataset_of={name: data.dataset_of[name] for name in trained},
        seed=seed,
    )


def make_model(
    components: Components, tasks: Mapping[str, Task], data: Data, seed: int
) -> tuple[MultiTaskModel, BackboneFactory]:
    """Return the model on the CPU, and the factory of its stages.

    Raises:
        UserError: the backbone cannot take the inputs, or sharing mode and heads do not fit it.
    """
    backbone: Backbone = components.backbone.make()
    specs = {name: source.input_spec for name, source in data.sources.items()}
    try:
        readers = [name for name, task in tasks.items() if task.head.reads_skips]
        factory = BackboneFactory(backbone, data.examples, specs, data.dataset_of, seed, readers)
        with seeded(seed, "sharing"):
            sharing: Sharing = components.sharing.make(backbone=factory, tasks=list(tasks))
        if problems := misfits(tasks, sharing.specs, factory):
            raise UserError(problems)
        return MultiTaskModel(sharing, build_heads(tasks, sharing, seed)), factory
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error
