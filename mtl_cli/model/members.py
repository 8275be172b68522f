"""Backbones of several networks in one: outputs hold a row per member, [B·K, ...], member after member of a sample."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mtl_cli.heads.base import Output, change_output
from mtl_cli.tasks.base import Task


def member_loss(
    task: Task, outputs: Output, target: Tensor, members: int, full: bool = False, weights: Tensor | None = None
) -> Tensor:
    """Return the mean over K members of the loss of their own outputs [B·K, ...]; target [B, ...], weights [B].

    Where losses of parts add up, it is one loss over all rows; else, as where samples are compared with one another,
    one per member. With `full`, no label of the target is missing.
    """
    loss: Callable[[Output, Tensor], Tensor] = task.full_loss if full else task.loss
    if weights is not None:
        loss = partial(task.weighted_loss, weights=weights)
    if members == 1:
        return loss(outputs, target)
    if task.adds_up:
        if weights is not None:
            loss = partial(task.weighted_loss, weights=weights.repeat_interleave(members))
        return loss(outputs, target.repeat_interleave(members, dim=0))
    parts = [change_output(partial(rows_of, member=member, members=members), outputs) for member in range(members)]
    return torch.stack([loss(part, target) for part in parts]).mean()


def rows_of(rows: Tensor, member: int, members: int) -> Tensor:
    """Return the rows [B, ...] of one member."""
    return rows[member::members]


def member_mean(outputs: Output, members: int) -> Output:
    """Return the mean over members [B, ...] of outputs [B·K, ...]."""
    if members == 1:
        return outputs
    return change_output(partial(mean_of_rows, members=members), outputs)


def mean_of_rows(rows: Tensor, members: int) -> Tensor:
    """Return the mean over members [B, ...] of rows [B·K, ...]."""
    return rows if members == 1 else rows.unflatten(0, (-1, members)).mean(dim=1)
