"""An exponential moving average of a model's weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.model.stacking import Part


class EMA:
    """Keeps θ̄ ← decay·θ̄ + (1 − decay)·θ for every trained parameter; buffers are the model's own.

    The decay of the first steps is smaller, min(decay, (1 + t) / (10 + t)), so that the average forgets the
    initialisation.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        parts = (
            model.parts() if isinstance(model, MultiTaskModel) else [Part(*each) for each in model.named_parameters()]
        )
        self._parameters: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.averages = [parameter.detach().clone() for parameter in self._parameters]
        average_of = {id(own): average for own, average in zip(self._parameters, self.averages, strict=True)}
        self.by_name = {
            part.name: part.of(average_of[id(part.parameter)]) for part in parts if part.parameter.requires_grad
        }
        """The averages as a checkpoint names them, which are views of `averages`."""

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

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchange the values, not the tensors: what divides a model among processes holds on to these."""
        for parameter, average in zip(self._parameters, self.averages, strict=True):
            kept = parameter.clone()
            parameter.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, object]:
        """Return the averages by the parameter's name, and the number of updates."""
        return {"averages": self.by_name, "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Take over averages and number of updates.

        Raises:
            ValueError: they are of other parameters.
        """
        averages, updates = state["averages"], state["updates"]
        if not isinstance(averages, Mapping) or type(updates) is not int or updates < 0:
            raise ValueError("the averages are not tensors by name with a number of updates")
        for name, own in self.by_name.items():
            if not isinstance(averages.get(name), Tensor) or averages[name].shape != own.shape:
                raise ValueError(f"there is no average of {name} of shape {list(own.shape)}")
            own.copy_(averages[name])
        self.updates = updates
