"""An exponential moving average of a model's weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Keeps θ̄ ← decay·θ̄ + (1 − decay)·θ for every trained parameter; buffers are the model's own.

    The decay of the first steps is smaller, min(decay, (1 + t) / (10 + t)), so that the average forgets the
    initialisation.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self._parameters: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.averages = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present parameters."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.averages, self._parameters, 1.0 - decay)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Run a block with the averages in the model's place."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for parameter, average in zip(self._parameters, self.averages, strict=True):
            parameter.data, average.data = average.data, parameter.data

    def state_dict(self) -> dict[str, object]:
        """Return the averages and the number of updates."""
        return {"averages": list(self.averages), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Take over averages and number of updates."""
        averages, updates = state["averages"], state["updates"]
        assert isinstance(averages, list)
        assert isinstance(updates, int)
        for own, value in zip(self.averages, averages, strict=True):
            assert isinstance(value, Tensor)
            own.copy_(value)
        self.updates = updates
