"""Fused SGD with momentum for parameters that get their first gradient after others have theirs."""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer


def take_late(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer with a step that takes such parameters in, if it is torch's fused SGD with momentum.

    Its kernel starts the momentum of all parameters or of none: a head whose task has no label in the first step raised
    a TypeError in a later one (torch 2.13). The other optimizers start each parameter by itself.
    """
    groups = optimizer.param_groups
    if type(optimizer) is not SGD or not any(group["fused"] and group["momentum"] for group in groups):
        return optimizer
    take, waiting = optimizer.step, [parameter for group in groups for parameter in group["params"]]

    def step(self: Optimizer) -> None:
        if waiting:
            waiting[:] = [parameter for parameter in waiting if momentum_of(self, parameter) is None]
            for group in self.param_groups if waiting else ():
                start_late(self, group)
        take()

    optimizer.step = MethodType(step, optimizer)  # type: ignore[method-assign]  # of this instance alone
    return optimizer


def momentum_of(optimizer: Optimizer, parameter: Tensor) -> Tensor | None:
    """Return the momentum of a parameter, None before its first step."""
    return optimizer.state.get(parameter, {}).get("momentum_buffer")


@torch.no_grad()
def start_late(optimizer: Optimizer, group: dict[str, Any]) -> None:
    """Give parameters whose first gradient this is a momentum under which the step is a first step, as torch's is.

    A first step sets the momentum to the gradient g; any other one to momentum · m + (1 − dampening) · g.
    """
    having = [parameter for parameter in group["params"] if parameter.grad is not None]
    late = [parameter for parameter in having if momentum_of(optimizer, parameter) is None]
    if not group["momentum"] or len(late) == len(having):
        return
    for parameter in late:
        optimizer.state[parameter]["momentum_buffer"] = equivalent_momentum(parameter, group)


def equivalent_momentum(parameter: nn.Parameter, group: dict[str, Any]) -> Tensor:
    """Return the m for which momentum · m + (1 − dampening) · g is g."""
    assert parameter.grad is not None
    dampening, momentum, decay = (group[name] for name in ("dampening", "momentum", "weight_decay"))
    if dampening == 0:
        return torch.zeros_like(parameter)
    gradient = -parameter.grad if group["maximize"] else parameter.grad
    return (gradient + decay * parameter) * (dampening / momentum)
