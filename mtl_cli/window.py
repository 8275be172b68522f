"""The losses since the last log, kept on the device until they are read all at once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.errors import RunFailure


class Window:
    """Losses of the steps since the last log: no device sync until `read`."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._tasks: list[tuple[str, ...]] = []
        self._losses: list[Tensor] = []

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Take in the losses of step number `step`, scalars by task."""
        if losses:
            self._steps.append(step)
            self._tasks.append(tuple(losses))
            self._losses += losses.values()  # stacked when they are read: a stack a step costs 12 µs

    def check(self) -> None:
        """Look for losses that are not finite; one device sync.

        Raises:
            RunFailure: names the first step and task with such a loss.
        """
        for step, tasks, values in zip(self._steps, self._tasks, self._read(), strict=True):
            for task, value in zip(tasks, values, strict=True):
                if not math.isfinite(value):
                    raise RunFailure(
                        f"The loss of task '{task}' is {value} at step {step}. The last good checkpoint is kept. "
                        f"Try a lower optimizer.lr, trainer.clip_norm=1, or trainer.on_nonfinite=skip."
                    )

    def means(self) -> dict[str, float]:
        """Return the mean loss of each task over the window, and start a new one."""
        sums: dict[str, list[float]] = {}
        for tasks, values in zip(self._tasks, self._read(), strict=True):
            for task, value in zip(tasks, values, strict=True):
                sums.setdefault(task, []).append(value)
        self._steps, self._tasks, self._losses = [], [], []
        return {task: math.fsum(values) / len(values) for task, values in sums.items()}

    def _read(self) -> list[list[float]]:
        if not self._losses:
            return []
        values = torch.stack(self._losses).tolist()
        rows, start = [], 0
        for tasks in self._tasks:
            rows.append(values[start : start + len(tasks)])
            start += len(tasks)
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Return the window, for a checkpoint."""
        losses = torch.stack(self._losses) if self._losses else torch.empty(0)
        return {"steps": self._steps, "tasks": [list(tasks) for tasks in self._tasks], "losses": losses}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take over a window."""
        self._steps = list(state["steps"])
        self._tasks = [tuple(tasks) for tasks in state["tasks"]]
        self._losses = list(state["losses"].to(device))


def first_bad(losses: Mapping[str, Tensor], gradients: Sequence[Tensor]) -> str | None:
    """Return what is not finite among losses and gradients, in words, or None; one device sync."""
    largest = list(torch._foreach_norm(list(gradients), math.inf)) if gradients else []  # cannot overflow
    parts = [loss.detach().float() for loss in losses.values()] + [norm.float() for norm in largest]
    if not parts:
        return None
    finite = torch.stack(parts).isfinite().tolist()
    bad = [f"'{task}'" for task, good in zip(losses, finite, strict=False) if not good]
    if bad:
        return "the loss of task " + ", ".join(bad)
    return None if all(finite) else "a gradient"
