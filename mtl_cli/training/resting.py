"""A task without a label in a step does not move, also where its parameters are a row of a stacked one."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from mtl_cli.model.multi_task_model import MultiTaskModel

Rows = Sequence[tuple[tuple[str, ...], Tensor]]
"""Rows of stacked parameters, by the names of the stack's tasks."""


def take_step(optimizer: Optimizer, model: MultiTaskModel, absent: Rows) -> None:
    """Let an optimizer take its step, and leave these rows and what it keeps of them as they were.

    A head of its own has no gradient then, so that optimizers pass it over. A row has a gradient of 0, by which Adam
    and SGD with momentum would still move it. What belongs to a whole parameter goes on, such as the step count of
    Adam: it is shared by the tasks of a stack.
    """
    if not absent:
        optimizer.step()
        return
    kept = [(parameter, rows, values(optimizer, parameter, rows)) for parameter, rows in parameters(model, absent)]
    optimizer.step()
    with torch.no_grad():
        for parameter, rows, before in kept:
            for name, tensor in tensors(optimizer, parameter).items():
                tensor[rows] = before.get(name, 0.0)  # 0: a state that was made in this step


def parameters(model: MultiTaskModel, absent: Rows) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the stacked parameters that have such rows, each with them."""
    for names, rows in absent:
        for stack in model.stacks:
            if stack.tasks == names:
                for parameter in stack.parameters():
                    yield parameter, rows.to(parameter.device)


def tensors(optimizer: Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """Return a parameter and what an optimizer keeps of it in the same shape."""
    state = optimizer.state.get(parameter, {})
    alike = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {"": parameter, **{name: value for name, value in alike.items() if value.shape == parameter.shape}}


def values(optimizer: Optimizer, parameter: Tensor, rows: Tensor) -> dict[str, Tensor]:
    """Return copies of the rows of these tensors."""
    return {name: tensor.detach()[rows] for name, tensor in tensors(optimizer, parameter).items()}
