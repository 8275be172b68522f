"""Tasks and model of a run, from the classes that its config names."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from mtl_cli.backbones.base import Backbone, BackboneFactory
from mtl_cli.batch import FieldSpec
from mtl_cli.config.targets import Component
from mtl_cli.errors import UserError
from mtl_cli.model.conditioning import Conditioner
from mtl_cli.model.costs import Costs, costs
from mtl_cli.model.fit import misfits
from mtl_cli.model.multi_task_model import MultiTaskModel, build_heads
from mtl_cli.model.partition import partition
from mtl_cli.model.transfer import freeze, warm_start
from mtl_cli.runs.components import Components, collect
from mtl_cli.runs.data import Data
from mtl_cli.runs.stacking import stack_heads, stacks_fit
from mtl_cli.seeding import seeded
from mtl_cli.sharing.base import Sharing
from mtl_cli.tasks.base import Task
from mtl_cli.weightings.base import Weighting
from mtl_cli.weightings.step_base import Partition

logger = logging.getLogger("mtl_cli")


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


@dataclass(frozen=True)
class Modelled:
    """A model with what is known of it: which parameters are shared, and what it costs."""

    model: MultiTaskModel
    partition: Partition
    costs: Costs


def prepare_model(
    config: Mapping[str, Any],
    components: Components,
    tasks: Mapping[str, Task],
    data: Data,
    start: Mapping[str, torch.Tensor] | None,
    device: torch.device,
) -> Modelled:
    """Return the model on `device`: with the weights that it starts from, frozen and compiled where that is asked for.

    Raises:
        UserError: backbone, sharing mode and heads do not fit each other or the inputs, or `start` does not fit them.
    """
    model, factory = make_model(components, tasks, data, config["seed"], partial(stacks_fit, components, config))
    if start is None and not factory.pretrained and not all_trained(model.sharing):
        logger.warning(
            "The sharing mode freezes weights of the backbone, and these were drawn at random. "
            "Use init_from=RUN, a pretrained backbone such as backbone=hf, or sharing.freeze_trunk=false."
        )
    if start is not None:
        warm_start(model, start, config["init_from"])
    model.sharing.start_step(config["seed"], 0, 0.0)
    freeze(model, config["freeze"], factory.num_stages, started=config["init_from"] is not None)
    trained = {name: data.dataset_of[name] for name, task in tasks.items() if task.weight > 0}
    parts = partition(model, data.examples, trained)
    found = Modelled(model, parts, costs(model, parts, factory, tasks, data.examples))
    model.to(device)
    if config["trainer"]["compile"]:
        if model.conditioner is not None:
            raise UserError("A conditioned backbone is not compiled. Use trainer.compile=false.")
        from mtl_cli.model.compiling import compile_model  # its imports take a second

        compile_model(model)
    return found


def all_trained(module: nn.Module) -> bool:
    """Return whether every parameter is trained."""
    return all(parameter.requires_grad for parameter in module.parameters())


def make_model(
    components: Components,
    tasks: Mapping[str, Task],
    data: Data,
    seed: int,
    may_stack: Callable[[Sharing], bool] = lambda sharing: False,
) -> tuple[MultiTaskModel, BackboneFactory]:
    """Return the model on the CPU, and the factory of its stages; where they `may_stack`, many heads are one module.

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
        heads = build_heads(tasks, sharing, seed)
        stacks = stack_heads(tasks, heads, data, sharing) if may_stack(sharing) else []
        conditioner = make_conditioner(components, tasks, sharing, heads, factory, seed)
        return MultiTaskModel(sharing, heads, backbone.members, stacks, conditioner), factory
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error


def make_conditioner(
    components: Components,
    tasks: Mapping[str, Task],
    sharing: Sharing,
    heads: Mapping[str, nn.Module],
    factory: BackboneFactory,
    seed: int,
) -> Conditioner | None:
    """Return what makes the features depend on a vector, where the weighting gives one.

    Raises:
        ValueError: the vector does not fit the trained tasks, or there is no stage.
    """
    trained = [name for name, task in tasks.items() if task.weight > 0]
    with seeded(seed, "weighting"):
        weighting: Weighting = components.weighting.make(tasks=trained)
    fixed = weighting.condition
    if fixed is None:
        return None
    with seeded(seed, "conditioner"):
        return Conditioner(sharing, factory.specs, heads, fixed)
