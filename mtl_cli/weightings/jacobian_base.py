"""Weightings that find the update from the tasks' gradients themselves."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from mtl_cli.weightings.linalg.jacobian import boundary_backward, boundary_rows, gramian
from mtl_cli.weightings.row_base import RowWeighting
from mtl_cli.weightings.step_base import Step


class JacobianWeighting(RowWeighting):
    """A weighting that finds the update from the gradients themselves. Its state may be as large as they are."""

    takes_stacks = True
    levels: ClassVar[tuple[str, ...]] = ("parameters",)
    used: Tensor | None = None
    """Weights [K] behind the last update, where the method has any."""

    @abstractmethod
    def forward(self, jacobian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Return the update [P]: jacobian [K, P] and losses [K] of the tasks `present` [K]."""

    def backward(self, step: Step) -> dict[str, Tensor]:
        """Write the update into the shared parameters' `.grad`, and into the heads' the gradients of their losses."""
        self.at = (step.seed, step.index)
        present = self.present(step.tasks)
        if self.level == "features":
            self._at_boundary(step)
            step.sum_gradients()
        else:
            jacobian, losses = self._record(step)
            step.sum_gradients()
            jacobian.write(self._update(step, step.tasks, jacobian.rows, losses))
            self._finish(step, losses, present)
        return {} if self.used is None else dict(zip(step.tasks, self.used, strict=True))

    def _at_boundary(self, step: Step) -> None:
        above = self._above(step)
        for each in step.passes(boundary=True):
            self.at = (step.seed, step.index, each.micro)
            boundary = [tensor for tensor in each.boundary if tensor.requires_grad]
            tasks = tuple(each.losses)
            index = {task: row for row, task in enumerate(tasks)}
            rows = boundary_rows(each.apart, boundary, above, index, each.views)
            boundary_backward(boundary, self._update(step, tasks, rows, each.vector(tasks).detach()))
            del each

    def _update(self, step: Step, tasks: Sequence[str], rows: Tensor, losses: Tensor) -> Tensor:
        update = self(rows, losses, self.present(tasks))
        if step.logging or self.match_norm != "none":
            gram = gramian(rows)
            norm = torch.linalg.vector_norm(update).double()
            factor = self._matched(norm, gram)
            update = update * factor.to(update)
            if step.logging:
                self._note(step, tasks, gram, norm * factor)
        return update

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        for name, buffer in list(self._buffers.items()):  # made at the first step, when P is known
            saved = state_dict.get(prefix + name)
            if buffer is not None and saved is not None and saved.shape != buffer.shape:
                self._buffers[name] = torch.empty_like(saved, device=buffer.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
