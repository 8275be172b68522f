"""What losses-only methods have in common that measure the tasks once: the mean losses of an early epoch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.weightings.base import LossWeighting


class WarmupWeighting(LossWeighting):
    """A method that begins after some epochs, the last of which gives the mean loss of each task.

    Args:
        epochs: how many, at least 1.
        tasks: names of all tasks.
    """

    sums: Tensor
    counts: Tensor

    def __init__(self, epochs: int, *, tasks: Sequence[str]) -> None:
        super().__init__(tasks=tasks)
        self._epochs = epochs
        self.epoch = 0
        for name in ("sums", "counts"):  # of the losses in the last of these epochs
            self.register_buffer(name, torch.zeros(len(self.tasks)))

    @property
    def silent_epochs(self) -> int:
        """Epochs before the method begins."""
        return self._epochs

    @property
    def is_silent(self) -> bool:
        """Whether it has not begun."""
        return self.epoch < self._epochs

    def early_means(self, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss of each present task [K] in that epoch, and whether it was there [K]."""
        counts = self.counts[present]
        return self.sums[present] / counts.clamp(min=1), counts > 0

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Collect the losses of the epoch that gives the means."""
        if self.epoch == self._epochs - 1:
            finite = losses.isfinite()
            self.sums[present] += torch.where(finite, losses, 0)
            self.counts[present] += finite.float()

    def after_epoch(self) -> None:
        """Count the epoch."""
        self.epoch += 1

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of epochs done."""
        return {"epoch": self.epoch}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` returned."""
        self.epoch = state["epoch"]
