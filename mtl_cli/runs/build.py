"""From a resolved config to the objects of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mtl_cli.config.targets import Component, Trust
from mtl_cli.config.task_groups import GROUPS
from mtl_cli.errors import UserError
from mtl_cli.model.costs import Costs
from mtl_cli.model.ema import EMA
from mtl_cli.privacy.budget import Budget
from mtl_cli.ranks.batch_norm import BatchNorms, batch_norms
from mtl_cli.ranks.ranks import ALONE, Ranks
from mtl_cli.ranks.strategy import Strategy
from mtl_cli.runs.checks import check_metrics, precision_problems, setting_of
from mtl_cli.runs.components import LR_FACTORS, bind_all
from mtl_cli.runs.data import Data, make_streams, open_data
from mtl_cli.runs.data_files import Compare
from mtl_cli.runs.dividing import divide, make_strategy
from mtl_cli.runs.lengths import check_lengths
from mtl_cli.runs.modelling import Modelled, make_tasks, prepare_model
from mtl_cli.runs.optimizers import make_optimizer
from mtl_cli.runs.private import make_private, private_problems
from mtl_cli.runs.stacking import stacks_of
from mtl_cli.schedules.base import Schedule
from mtl_cli.seeding import seeded
from mtl_cli.tasks.base import Task
from mtl_cli.training.arithmetic import Arithmetic, make_arithmetic, on_rank, suited
from mtl_cli.training.job import Job, Plan
from mtl_cli.training.learner import Learner
from mtl_cli.training.loading import Stream
from mtl_cli.weightings.base import Weighting


@dataclass(frozen=True)
class Built:
    """A job, and what its head and summary print."""

    job: Job
    costs: Costs
    data: Data
    cautions: list[str]
    """What makes the weighting other than it seems in this run."""


def make_plan(config: Mapping[str, Any]) -> Plan:
    """Return the trainer's plain knobs."""
    trainer, save, stopping = config["trainer"], config["save"], config["early_stopping"]
    return Plan(
        max_epochs=trainer["max_epochs"],
        max_steps=trainer["max_steps"],
        eval_every=trainer["eval_every"],
        accumulate=trainer["accumulate"],
        devices=trainer["devices"],
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


def build(
    config: Mapping[str, Any],
    trust: Trust,
    states: Mapping[str, Any] | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
    compare: Compare | None = None,
    ranks: Ranks = ALONE,
) -> Built:
    """Return everything that a run of a resolved config needs, on this rank.

    1. Every class that the config names is found, its arguments checked.
    2. The datasets are opened, their files first seen by `compare`; labels are summed up, of a checkpoint's `states`
       where it tells.
    3. Tasks, then the model, with the weights `start` of the run that `init_from` names, laid out on the ranks.
    4. Streams of batches, schedule, weighting, optimizer; whether all of these go together.

    Raises:
        UserError: every problem found, before the first step.
    """
    components = bind_all(config, trust)
    strategy = make_strategy(config, components, ranks)
    arithmetic, plan, seed = on_rank(make_arithmetic(config), ranks), make_plan(config), config["seed"]
    with ranks.first_on_machine():
        data = open_data(config, components, states, compare)
    tasks = make_tasks(components.tasks, {name: summary.spec() for name, summary in data.summaries.items()})
    modelled = prepare_model(config, components, tasks, data, start, arithmetic.device)
    check_lengths(tasks, modelled.model.sharing.specs, data)
    learner = make_learner(config, tasks, data, modelled, arithmetic, ranks, strategy)
    trained, device, stacks = learner.tasks, learner.arithmetic.device, list(learner.stacks.values())
    train = make_streams(data, trained, "train", seed, device, config["data"]["workers"], stacks, prepared=True)
    for stream in train.values():
        stream.stride = ranks.size
    schedule = make_schedule(components.schedule, train, data, list(trained), plan, seed)
    weighting = make_weighting(components.weighting, list(trained), seed, device)
    optimizer = make_optimizer(components.optimizer, learner.model, weighting, config["optimizer"].get(LR_FACTORS))
    setting = setting_of(learner, schedule, train, all(map(data.always_labelled, trained)), plan, optimizer)
    problems = check_metrics(config, tasks) + weighting.problems(setting)
    problems += precision_problems(learner.arithmetic.precision, weighting, config["trainer"]["strategy"])
    problems += private_problems(config, learner, train, schedule, weighting, data)
    if problems:
        raise UserError(problems)
    cautions = weighting.cautions(setting)
    if (private := Budget.of(config)) is not None:
        weighting, told = make_private(private, train, list(trained), plan.num_steps(schedule.steps_per_epoch))
        cautions += [told]
    decay = config["ema"]["decay"]
    job = Job(
        learner=learner,
        tasks=tasks,
        weighting=weighting,
        schedule=schedule,
        optimizer=optimizer,
        lr_schedule=components.lr_schedule.make(),
        ema=None if decay is None else EMA(learner.model, decay),
        train=train,
        val=make_streams(data, tasks, "val", seed, device, stacks=stacks),
        test=make_streams(data, tasks, "test", seed, device, stacks=stacks),
        dataset_states=data.states(),
        summaries=data.summaries,
        plan=plan,
        groups=config.get(GROUPS, {}),
        num_scheduled=len(optimizer.param_groups) - any(True for _ in weighting.parameters()),
    )
    return Built(job, modelled.costs, data, cautions)


def make_learner(
    config: Mapping[str, Any],
    tasks: Mapping[str, Task],
    data: Data,
    modelled: Modelled,
    arithmetic: Arithmetic,
    ranks: Ranks,
    strategy: Strategy,
) -> Learner:
    """Return what every step has in common; the model is now laid out on its ranks.

    Raises:
        UserError: the model cannot be trained on several ranks.
    """
    flops, products = modelled.costs.flops, sum(modelled.costs.products.values())
    operations = sum(each * data.sources[name].batch_size for name, each in flops.items())
    norms = make_norms(config, modelled.model, ranks)
    modelled = divide(modelled, strategy)
    return Learner(
        model=modelled.model,
        tasks={name: task for name, task in tasks.items() if task.weight > 0},
        partition=modelled.partition,
        arithmetic=suited(arithmetic, config, operations, products),
        seed=config["seed"],
        stacks={stack.name: stack for stack in stacks_of(modelled.model, tasks)},
        ranks=ranks,
        norms=norms,
        strategy=strategy,
    )


def make_norms(config: Mapping[str, Any], model: torch.nn.Module, ranks: Ranks) -> BatchNorms | None:
    """Return the batch norms of a model that several ranks train.

    Raises:
        UserError: one does not run on several processes, or not behind torch.compile.
    """
    if ranks.alone or not batch_norms(model):
        return None
    if config["trainer"]["compile"]:
        raise UserError(
            "trainer.compile=true does not go with batch norm on several processes. Use trainer.compile=false."
        )
    try:
        return BatchNorms(model, ranks, config["trainer"]["batch_norm"])
    except ValueError as error:
        raise UserError(f"{error} Use trainer.devices=1, or another norm of the backbone.") from error


def make_weighting(component: Component, trained: Sequence[str], seed: int, device: torch.device) -> Weighting:
    """Return the weighting of the trained tasks."""
    with seeded(seed, "weighting"):
        weighting: Weighting = component.make(tasks=list(trained))
    return weighting.to(device)


def make_schedule(
    component: Component, train: Mapping[str, Stream], data: Data, trained: Sequence[str], plan: Plan, seed: int
) -> Schedule:
    """Return the schedule of the trained tasks."""
    return component.make(
        steps_per_pass={name: -(-stream.order.batches // plan.micro_batches) for name, stream in train.items()},
        sizes={name: stream.order.size for name, stream in train.items()},
        dataset_of={name: data.dataset_of[name] for name in trained},
        seed=seed,
    )
