"""The optimizer of a run: which parameters it has, at which learning rates."""

from collections.abc import Mapping
from typing import Any

import torch

from mtl_cli.config.targets import Component
from mtl_cli.errors import UserError, nearest, some
from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.training.dynamo import lean
from mtl_cli.training.fused_adam import straight
from mtl_cli.training.late_gradients import take_late
from mtl_cli.weightings.base import Weighting


def make_optimizer(
    component: Component, model: MultiTaskModel, weighting: Weighting, factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Return the optimizer: the model's trained parameters, and the weighting's own in a group without decay.

    With `factors` of parts there is a group for each learning rate, those of the trunk first.

    Raises:
        UserError: a factor names no part of the model.
    """
    groups = parameter_groups(model, {} if factors is None else factors, float(component.arguments.get("lr", 0.0)))
    own = list(weighting.parameters())
    if own:
        groups.append({"params": own, "lr": weighting.lr, "weight_decay": 0.0})
    optimizer = straight(take_late(lean(component.make(params=groups))))
    for group in optimizer.param_groups:
        group["base_lr"] = group["lr"]
    return optimizer


def parameter_groups(model: MultiTaskModel, factors: Mapping[str, float], lr: float) -> list[dict[str, Any]]:
    """Return the trained parameters of the model, in one group, or in one for each factor of the learning rate.

    Raises:
        UserError: a factor names no part of the model, or is not a number ≥ 0.
    """
    if not isinstance(factors, Mapping):
        raise UserError(
            f"optimizer.lr_factors is {factors!r}; it is a factor for each part. Use for example "
            "'optimizer.lr_factors={trunk: 0.1, heads: 1}'."
        )
    if not factors:
        return [{"params": [parameter for parameter in model.parameters() if parameter.requires_grad]}]
    heads = list(model.heads)
    problems = []
    for part, factor in factors.items():
        if part not in ("trunk", "heads", *heads):
            known, one = some(["trunk", "heads", *heads]), " Heads that are computed as one have one rate: heads."
            problems.append(
                f"optimizer.lr_factors names '{part}'.{nearest(str(part), heads)} Parts: {known}."
                + (one if model.stacks else "")
            )
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor < float("inf"):
            problems.append(f"optimizer.lr_factors.{part} is {factor!r}; it is a number ≥ 0, such as 0.1.")
    if problems:
        raise UserError(problems)
    by_factor: dict[float, list[torch.nn.Parameter]] = {}
    part_of = {id(parameter): "trunk" for parameter in model.sharing.parameters()}
    part_of |= {id(parameter): name for name, head in model.heads.items() for parameter in head.parameters()}
    for parameter in model.parameters():
        part = part_of.get(id(parameter), "heads")
        usual = 1.0 if part == "trunk" else factors.get("heads", 1.0)
        if parameter.requires_grad:
            by_factor.setdefault(float(factors.get(part, usual)), []).append(parameter)
    return [{"params": found, "lr": lr * factor} for factor, found in by_factor.items()]
