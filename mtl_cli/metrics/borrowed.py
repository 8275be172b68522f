"""Metrics of torchmetrics as metrics of this program, where a kind of task gives some."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from mtl_cli.metrics.base import Metric, State

if TYPE_CHECKING:
    import torchmetrics


def own(metric: "Metric | torchmetrics.Metric") -> Metric:
    """Return the metric itself, or one of torchmetrics in what makes it a metric of this program."""
    return metric if isinstance(metric, Metric) else Borrowed(metric)


def alone() -> bool:
    """Whether a metric is to exchange anything with other processes by itself: never."""
    return False


class Borrowed(Metric):
    """A metric of torchmetrics, and those inside it; their states are named "<number of the metric>.<state>"."""

    def __init__(self, metric: "torchmetrics.Metric") -> None:
        super().__init__()
        self.metric = metric
        self._parts: list[Any] = [part for part in metric.modules() if hasattr(part, "add_state")]
        for part in self._parts:
            part.distributed_available_fn = alone  # torchmetrics adds up by itself where there are several processes

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions and their target."""
        self.metric.update(predictions, target)

    def compute(self) -> Tensor:
        """Return the metric."""
        return self.metric.compute()

    def reset(self) -> None:
        """Start anew."""
        for part in self._parts:
            part.reset()

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Self:
        """Return the metric with its states on a device."""
        self.metric.to(device=device, dtype=dtype)
        return self

    def state(self) -> State:
        """Return the states of all metrics."""
        return {
            f"{number}.{name}": list(value) if isinstance(value, list) else value
            for number, part in enumerate(self._parts)
            for name in part._defaults
            for value in [getattr(part, name)]
        }

    def put(self, state: Mapping[str, Tensor | list[Tensor]]) -> None:
        """Make this the state; torchmetrics warns of a metric that was not updated, and keeps what it computed."""
        for key, value in state.items():
            number, name = key.split(".", 1)
            setattr(self._parts[int(number)], name, value)
        for part in self._parts:
            part._update_count, part._computed = max(1, part._update_count), None
