"""How the processes of a run hold the model: what can be divided among them, and what is then done."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn
from torch.optim import SGD, Optimizer

from mtl_cli.errors import UserError
from mtl_cli.features import Features, Stages
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.privacy.budget import Budget
from mtl_cli.ranks.ranks import Ranks
from mtl_cli.ranks.strategy import Strategy
from mtl_cli.runs.components import Components
from mtl_cli.runs.modelling import Modelled
from mtl_cli.runs.stacking import treats_by_entry
from mtl_cli.sharing.base import Sharing
from mtl_cli.weightings.base import Weighting
from mtl_cli.weightings.step_base import Partition

DDP = "Use trainer.strategy=ddp"


def make_strategy(config: Mapping[str, Any], components: Components, ranks: Ranks) -> Strategy:
    """Return the strategy that `trainer.strategy` names; a process that is alone, as in mtl-eval, divides nothing.

    Raises:
        UserError: it does not go with the rest of the config.
    """
    if config["trainer"]["strategy"] == "ddp":
        return Strategy(ranks)
    if problems := fsdp_problems(config, components):
        raise UserError(problems)
    if ranks.alone:
        return Strategy(ranks)
    from mtl_cli.ranks.sharded import Sharded, pass_through  # its imports take seconds

    pass_through(Features)
    return Sharded(ranks)


def fsdp_problems(config: Mapping[str, Any], components: Components) -> list[str]:
    """Return what keeps a model from being divided among processes, each with the override that fixes it."""
    weighting, sharing, optimizer = (
        each.cls for each in (components.weighting, components.sharing, components.optimizer)
    )
    assert issubclass(weighting, Weighting)
    assert issubclass(sharing, Sharing)
    assert issubclass(optimizer, Optimizer)
    found, fsdp = [], "trainer.strategy=fsdp"
    if config["trainer"]["devices"] == 1:
        found.append(f"{fsdp} divides a model among processes, and trainer.devices is 1. {DDP}, or trainer.devices=2.")
    if not weighting.takes_parts:
        found.append(
            f"{weighting.__name__} needs more than the losses of a step, such as whole gradients of each task, and "
            f"{fsdp} divides them. {DDP}, or a weighting of losses such as weighting=uncertainty."
        )
    if not sharing.runs_whole_modules:
        found.append(
            f"{sharing.__name__} computes with weights outside of their modules, where {fsdp} has divided them. "
            f"{DDP}, or another mode such as sharing=hard."
        )
    if not treats_by_entry(optimizer):
        found.append(
            f"{optimizer.__name__} does not treat every entry of a weight by itself, and {fsdp} divides weights. "
            f"{DDP}, or optimizer=adamw."
        )
    if optimizer is SGD and components.optimizer.arguments.get("fused"):
        found.append(f"torch has no fused SGD for divided weights ({fsdp}). Use optimizer.fused=false.")
    if Budget.of(config) is not None:
        found.append(f"Private training needs the whole gradient of each row, and {fsdp} divides it. {DDP}.")
    if config["trainer"]["compile"]:
        found.append(f"trainer.compile=true does not go with {fsdp}. Use trainer.compile=false.")
    return found


def divide(modelled: Modelled, strategy: Strategy) -> Modelled:
    """Return a model laid out on its processes: the parameters may be others than before.

    Raises:
        UserError: a parameter cannot be divided.
    """
    model, before = modelled.model, list(modelled.model.parameters())
    try:
        strategy.divide(model, units_of(model))
    except ValueError as error:
        raise UserError(f"trainer.strategy=fsdp: {error} {DDP}.") from error
    new = {id(old): parameter for old, parameter in zip(before, model.parameters(), strict=True)}
    if all(new[id(old)] is old for old in before):
        return modelled
    return replace(modelled, partition=renewed(modelled.partition, new))


def renewed(partition: Partition, new: Mapping[int, nn.Parameter]) -> Partition:
    """Return a partition of the parameters that took the place of others, by the identity of these."""
    return Partition(
        shared=[new[id(each)] for each in partition.shared],
        specific={task: [new[id(each)] for each in own] for task, own in partition.specific.items()},
        trunk=[new[id(each)] for each in partition.trunk],
        above=[new[id(each)] for each in partition.above],
        stacked={names: [new[id(each)] for each in own] for names, own in partition.stacked.items()},
    )


def units_of(model: MultiTaskModel) -> list[nn.Module]:
    """Return the modules whose weights are needed at one time: stages of all copies of the backbone, and heads."""
    stages = [stage for module in model.sharing.modules() if isinstance(module, Stages) for stage in module.children()]
    found = {id(unit): unit for unit in [*stages, *model.heads.values()]}
    return [unit for unit in found.values() if any(True for _ in unit.parameters())]
