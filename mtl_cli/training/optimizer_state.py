"""An optimizer takes over the state of a checkpoint, which may be a stranger's."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimizer the moments of a checkpoint; its settings stay those of the config.

    Fused kernels read as many numbers as a parameter has, in its order of memory, and check neither: a moment of
    another size would be read and written beyond its end (measured: a segmentation fault, with 0 numbers).

    Raises:
        ValueError: the state is of other parameters.
    """
    own = optimizer.state_dict()["param_groups"]
    if [len(group["params"]) for group in state["param_groups"]] != [len(group["params"]) for group in own]:
        raise ValueError("the optimizer's state is of another number of parameters")
    groups = [
        (parameter, bool(group.get("fused"))) for group in optimizer.param_groups for parameter in group["params"]
    ]
    moments = {}
    for number, values in state["state"].items():
        if type(number) is not int or not 0 <= number < len(groups) or not isinstance(values, Mapping):
            raise ValueError(f"the optimizer's state names a parameter {number!r}, which is not there")
        parameter, fused = groups[number]
        moments[number] = {name: moment(name, value, parameter) if fused else value for name, value in values.items()}
    optimizer.load_state_dict({"state": moments, "param_groups": own})


def moment(name: str, value: object, parameter: nn.Parameter) -> Tensor | None:
    """Return what a fused optimizer keeps of a parameter: a count, or a copy in the parameter's order of memory.

    Raises:
        ValueError: it is neither.
    """
    if value is None:  # SGD without momentum
        return None
    if not isinstance(value, Tensor) or value.is_complex() or (value.ndim and value.shape != parameter.shape):
        found = f"of shape {list(value.shape)}" if isinstance(value, Tensor) else repr(value)[:40]
        raise ValueError(f"the optimizer's {name} of a parameter of shape {list(parameter.shape)} is {found}")
    if value.ndim == 0:
        return value.clone()
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)
