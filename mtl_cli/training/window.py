"""The losses since the last log, kept on the device until they are read all at once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.errors import RunFailure
from mtl_cli.weightings.losses_base import TaskLosses, vector_of


class NotFinite(RunFailure):
    """A loss, gradient or weight that is not finite.

    Args:
        what: such as "The loss of task 'letters' is nan".
        step: the optimizer step that has it, counted from 0.
        draws: the first draw of that step by dataset, as far as known.
        cause: sentences about the rows of the step's batches.
    """

    def __init__(self, what: str, step: int, draws: Mapping[str, int], cause: str = "") -> None:
        self.what, self.step, self.draws = what, step, dict(draws)
        super().__init__(
            f"{what} at step {step}. {cause}{' ' if cause else ''}The last good checkpoint is kept. "
            "Try a lower optimizer.lr, trainer.clip_norm=1, or trainer.on_nonfinite=skip or rollback."
        )


class Window:
    """Losses and gradient norms of the steps since the last log: no device sync until they are looked at."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._tasks: list[tuple[str, ...]] = []
        self._losses: list[Tensor] = []
        self._norms: list[tuple[int, Tensor]] = []  # of the steps since the last check
        self._draws: dict[int, dict[str, int]] = {}

    def add(
        self,
        step: int,
        losses: Mapping[str, Tensor],
        norm: Tensor | None = None,
        draws: Mapping[str, int] | None = None,
    ) -> None:
        """Take in step number `step`: losses, scalars by task, the gradient's norm, and the first draw by dataset."""
        if isinstance(losses, TaskLosses):
            self._steps.append(step)
            self._tasks.append(losses.tasks)
            self._losses += [values for _, values in losses.parts]
        elif losses:
            self._steps.append(step)
            self._tasks.append(tuple(losses))
            self._losses += losses.values()  # joined when they are read: a stack per step costs 12 µs
        if norm is not None:
            self._norms.append((step, norm))
        if draws is not None:
            self._draws[step] = dict(draws)

    def check(self) -> None:
        """Look for losses and gradients that are not finite.

        Raises:
            NotFinite: names the first step and task with such a loss, or the first step with such a gradient.
        """
        norms = torch.stack([norm for _, norm in self._norms]).tolist() if self._norms else []
        if all(map(math.isfinite, norms)) and np.isfinite(self._joined().cpu().numpy()).all():
            self._norms = []
            return
        found: list[tuple[int, int, str]] = []
        for step, tasks, values in zip(self._steps, self._tasks, self._read(), strict=True):
            bad = np.flatnonzero(~np.isfinite(values)).tolist()
            found += [(step, 0, f"The loss of task '{tasks[place]}' is {float(values[place])}") for place in bad]
        for (step, _), norm in zip(self._norms, norms, strict=True):
            if not math.isfinite(norm):
                found.append((step, 1, f"The gradient's norm is {norm}"))
        step, _, what = min(found, key=lambda item: item[:2])
        raise NotFinite(what, step, self._draws.get(step, {}))

    def means(self) -> dict[str, float]:
        """Return the mean loss of each task over the window, and start a new one."""
        rows = self._read()
        found = same_tasks_means(self._tasks, rows) if len(self._tasks) > 1 else None
        if found is None:
            sums: dict[str, list[float]] = {}
            for tasks, values in zip(self._tasks, rows, strict=True):
                for task, value in zip(tasks, values.tolist(), strict=True):
                    sums.setdefault(task, []).append(value)
            found = {task: math.fsum(values) / len(values) for task, values in sums.items()}
        self._steps, self._tasks, self._losses, self._draws = [], [], [], {}
        return found

    def _read(self) -> list[np.ndarray]:
        """Return the losses of each step [K], float32."""
        values = self._joined().cpu().numpy()
        rows, start = [], 0
        for tasks in self._tasks:
            rows.append(values[start : start + len(tasks)])
            start += len(tasks)
        return rows

    def _joined(self) -> Tensor:
        """Return the losses of all steps as one vector, and keep them so."""
        self._losses = [joined(self._losses)] if self._losses else []
        return self._losses[0] if self._losses else torch.empty(0)

    def state_dict(self) -> dict[str, Any]:
        """Return the window, for a checkpoint."""
        return {"steps": self._steps, "tasks": [list(tasks) for tasks in self._tasks], "losses": self._joined()}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take over a window.

        Raises:
            ValueError: it holds another number of losses than its steps have tasks.
        """
        steps, tasks, losses = list(state["steps"]), [tuple(each) for each in state["tasks"]], state["losses"]
        plain = all(type(step) is int for step in steps) and all(
            isinstance(name, str) for each in tasks for name in each
        )
        number = sum(map(len, tasks))
        if not plain or len(steps) != len(tasks) or losses.shape != (number,) or not losses.is_floating_point():
            raise ValueError(f"the losses since the last log are {list(losses.shape)} of {len(steps)} steps")
        self._steps, self._tasks, self._losses = steps, tasks, [losses.to(device)] if steps else []
        self._norms, self._draws = [], {}  # what was saved was looked at


MANY = 64
"""Tasks from which a window is added up in float64, column by column, instead of exactly, number by number."""


def same_tasks_means(tasks: Sequence[tuple[str, ...]], rows: Sequence[np.ndarray]) -> dict[str, float] | None:
    """Return the means of rows [K] that all are of the same many tasks; None where they are not."""
    if len(tasks[0]) < MANY or any(each is not tasks[0] and each != tasks[0] for each in tasks):
        return None
    return dict(zip(tasks[0], np.stack(rows).mean(axis=0, dtype=np.float64).tolist(), strict=True))


def joined(losses: Sequence[Tensor]) -> Tensor:
    """Return scalars and vectors as one vector."""
    if all(loss.ndim == 0 for loss in losses):
        return torch.stack(list(losses))
    return torch.cat([loss.reshape(-1) for loss in losses])


def first_bad(losses: Mapping[str, Tensor], gradients: list[Tensor]) -> str | None:
    """Return what is not finite among losses and gradients, in words, or None; two device syncs."""
    bad = []
    if losses:
        values = vector_of(losses, tuple(losses)).detach().isfinite().tolist()
        bad = [f"'{task}'" for task, good in zip(losses, values, strict=True) if not good]
    if bad:
        return "the loss of task " + ", ".join(bad)
    return None if all_finite(gradients) else "a gradient"


def total_norm(tensors: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of all entries, a scalar that is not read: no device sync.

    It is not finite where an entry is not, and where the norm is beyond 1.8e19, whose square float32 cannot hold (nor
    can Adam). Over 420,000 entries on one core: 44 µs, where the largest absolute entry takes 1,090 µs.
    """
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors))).detach()


def all_finite(tensors: list[Tensor]) -> bool:
    """Return whether every entry is finite, however large; one device sync, a second one only if the norm is not."""
    if not tensors or math.isfinite(total_norm(tensors)):
        return True
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
