"""Stacked heads in the terms of heads that are apart: names, order and rows, as checkpoints hold them."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtl_cli.heads.stack_base import StackedHeads
from mtl_cli.layers.named_modules import safe


@dataclass(frozen=True)
class Part:
    """A parameter of a model whose heads are all apart: one of the model's own, or a `row` of a stacked one.

    `name` is its key in a checkpoint.
    """

    name: str
    parameter: nn.Parameter
    row: int | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """Return what of a tensor in the shape of the model's parameter, such as a moment, belongs to this part."""
        return tensor if self.row is None else tensor[self.row]


def head_parts(heads: Mapping[str, nn.Module], stacks: Sequence[StackedHeads], tasks: Sequence[str]) -> list[Part]:
    """Return the parameters of all heads, in the order of `tasks`."""
    found: dict[str, list[Part]] = {}
    for task, head in heads.items():
        found[task] = [Part(*each) for each in head.named_parameters(prefix=f"heads.{safe(task)}")]
    for stack in stacks:
        for row, task in enumerate(stack.tasks):
            named = zip(stack.names, stack.rows, strict=True)
            found[task] = [Part(f"heads.{safe(task)}.{name}", rows, row) for name, rows in named]
    return [part for task in tasks for part in found[task]]


def take_apart(
    state: MutableMapping[str, Tensor], prefix: str, stacks: Sequence[StackedHeads], tasks: Sequence[str]
) -> None:
    """Write a model's stacked parameters into its state as rows, under the names and in the order of heads apart."""
    by_task: dict[str, dict[str, Tensor]] = {safe(task): {} for task in tasks}
    for key in [*state]:
        if key.startswith(f"{prefix}heads."):
            by_task[key.removeprefix(prefix).split(".")[1]][key] = state.pop(key)
    for number, stack in enumerate(stacks):
        for place, name in enumerate(stack.names):
            rows = state.pop(f"{prefix}stacked.{number}.rows.{place}")
            for task, row in zip(map(safe, stack.tasks), rows, strict=True):
                by_task[task][f"{prefix}heads.{task}.{name}"] = row
    for own in by_task.values():
        state.update(own)


def put_together(
    state: MutableMapping[str, Tensor],
    prefix: str,
    stacks: Sequence[StackedHeads],
    missing: list[str],
    errors: list[str],
) -> None:
    """Stack the rows of a state whose heads are apart; a row that is missing or of another shape is told."""
    for number, stack in enumerate(stacks):
        for place, (name, own) in enumerate(zip(stack.names, stack.rows, strict=True)):
            rows = []
            for task in map(safe, stack.tasks):
                key = f"{prefix}heads.{task}.{name}"
                row = state.pop(key, None)
                if row is None:
                    missing.append(key)
                elif row.shape != own.shape[1:]:
                    errors.append(f"{key} has shape {tuple(row.shape)} there and {tuple(own.shape[1:])} here.")
                else:
                    rows.append(row.to(own))
            whole = len(rows) == len(stack.tasks)
            state[f"{prefix}stacked.{number}.rows.{place}"] = torch.stack(rows) if whole else own.detach()
