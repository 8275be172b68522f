"""An optimizer takes over the state of a checkpoint, which may be a stranger's.

A checkpoint holds the state that an optimizer of a model has whose heads are all apart. Where heads are stacked, what
is kept of their parameters is divided into rows (`state_apart`) and put together again (`state_together`).
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.model.stacking import Part
from mtl_cli.ranks.strategy import Strategy


def state_apart(optimizer: torch.optim.Optimizer, model: MultiTaskModel) -> dict[str, Any]:
    """Return the state of an optimizer as that of a model whose heads are all apart.

    A number that is kept of a whole stacked parameter, such as the step count of Adam, is that of each row.
    """
    state = optimizer.state_dict()
    if not model.stacks:
        return state
    layout = layout_of(optimizer, model)
    kept = {
        number: {name: own(part, value) for name, value in optimizer.state[part.parameter].items()}
        for number, part in enumerate(chain(*layout))
        if part.parameter in optimizer.state
    }
    numbers = iter(range(sum(map(len, layout))))
    groups = [
        {**group, "params": [next(numbers) for _ in parts]}
        for group, parts in zip(state["param_groups"], layout, strict=True)
    ]
    return {"state": kept, "param_groups": groups}


def own(part: Part, value: object) -> object:
    """Return what of a value that is kept of a parameter belongs to a part of it."""
    return part.of(value) if isinstance(value, Tensor) and value.shape == part.parameter.shape else value


def layout_of(optimizer: torch.optim.Optimizer, model: MultiTaskModel) -> list[list[Part]]:
    """Return the parts that each group of an optimizer's parameters has where heads are apart, in the order of such."""
    parts = model.parts()
    known = {id(part.parameter) for part in parts}
    layout = []
    for group in optimizer.param_groups:
        inside = {id(parameter) for parameter in group["params"]}
        others = [Part("", parameter) for parameter in group["params"] if id(parameter) not in known]
        layout.append([part for part in parts if id(part.parameter) in inside] + others)
    return layout


def state_together(optimizer: torch.optim.Optimizer, model: MultiTaskModel, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of an optimizer of a model whose heads are apart as that of one whose heads are stacked.

    A row of which nothing is kept, as of a task that had no label yet, gets zeros; of numbers that differ from row to
    row, such as the step counts of Adam, the largest is taken.

    Raises:
        ValueError: the state is of other parameters.
    """
    if not model.stacks:
        return dict(state)
    layout = layout_of(optimizer, model)
    if [len(group["params"]) for group in state["param_groups"]] != [len(parts) for parts in layout]:
        raise ValueError("the optimizer's state is of another number of parameters")
    if strange := set(state["state"]) - set(range(sum(map(len, layout)))):
        raise ValueError(f"the optimizer's state names a parameter {min(map(repr, strange))}, which is not there")
    rows: dict[int, list[Mapping[str, Any]]] = {}
    for number, part in enumerate(chain(*layout)):
        kept = state["state"].get(number, {})
        if not isinstance(kept, Mapping):
            raise ValueError(f"the optimizer's state of parameter {number} is of type {type(kept).__name__}")
        rows.setdefault(id(part.parameter), []).append(kept)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    stacked = {id(parameter) for stack in model.stacks for parameter in stack.parameters()}
    found = {}
    for number, parameter in enumerate(parameters):
        each = rows[id(parameter)]
        whole = joined(each, parameter) if id(parameter) in stacked else dict(each[0])
        if whole:
            found[number] = whole
    return {"state": found, "param_groups": optimizer.state_dict()["param_groups"]}


def joined(rows: list[Mapping[str, Any]], parameter: Tensor) -> dict[str, Any]:
    """Return what is kept of each row of a parameter as what is kept of the whole.

    Raises:
        ValueError: a tensor is of another shape than a row.
    """
    whole: dict[str, Any] = {}
    for name in {name: None for kept in rows for name in kept}:
        values = [kept.get(name) for kept in rows]
        tensors = [value for value in values if isinstance(value, Tensor)]
        if all(value.ndim == 0 for value in tensors):
            whole[name] = torch.stack(tensors).max() if tensors else values[0]
            continue
        if any(value.shape != parameter.shape[1:] or value.is_complex() for value in tensors):
            raise ValueError(
                f"the optimizer's {name} of a row of shape {list(parameter.shape[1:])} is of another shape"
            )
        empty = torch.zeros_like(tensors[0])
        whole[name] = torch.stack([value if isinstance(value, Tensor) else empty for value in values])
    return whole


def load_optimizer(optimizer: torch.optim.Optimizer, strategy: Strategy, state: Mapping[str, Any]) -> None:
    """Give an optimizer the moments of a checkpoint, as `strategy` holds them; its settings stay those of the config.

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
        held = strategy.divided(values, dict.fromkeys(values, parameter))
        moments[number] = {name: moment(name, value, parameter) if fused else value for name, value in held.items()}
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
