"""What a task is: a head, a loss, metrics and the trivial predictor that its metrics are compared with."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.features import FeatureSpec
from mtl_cli.heads.base import Head

if TYPE_CHECKING:
    from torchmetrics import Metric


@dataclass(frozen=True)
class MetricInfo:
    """How to read a metric: a score, at most 1 and higher is better, or an error, at least 0 and lower is better."""

    lower_is_better: bool = False

    def skill(self, value: float, trivial: float) -> float:
        """Return the gain over the trivial predictor: (M − M₀)/(1 − M₀) for scores, 1 − M/M₀ for errors.

        Where the trivial predictor is perfect, what is lost against it: M − 1 or −M.
        """
        if self.lower_is_better:
            return 1.0 - value / trivial if trivial > 0 else -value
        return (value - trivial) / (1.0 - trivial) if trivial < 1.0 else value - 1.0


class Task(ABC):
    """One task: what is predicted from features, how wrong a prediction is, and how that is reported.

    Built with the arguments of its YAML plus `name` and `field`, the spec of its label field.
    """

    primary: ClassVar[str]
    """The metric that the task is selected by."""

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"tasks.{name}.weight is {weight}; a weight is a finite number ≥ 0.")
        self.name, self.target, self.weight, self.field = name, target, weight, field
        self._head = head

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Width of the head's output."""

    def build_head(self, spec: FeatureSpec) -> nn.Module:
        """Return the head: a module from `Features` of that spec to outputs [B, num_outputs]."""
        return self._head.build(spec, self.num_outputs)

    @abstractmethod
    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss over the labelled entries of `target`; outputs float32 [B, num_outputs]."""

    def labelled_entries(self, target: Tensor) -> int:
        """Return how many labels `target` [B, ...] holds."""
        return int(labelled(target).sum())

    def labelled_rows(self, target: Tensor) -> Tensor:
        """Return which rows [B] of `target` [B, ...] have a label, for the metrics to see."""
        marks = labelled(target)
        return marks if marks.ndim == 1 else marks.flatten(1).any(dim=1)

    @abstractmethod
    def metrics(self) -> "dict[str, Metric]":
        """Return fresh metrics by name, each updated with what `predictions` returns and the target."""

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return what metrics compare with the target, such as probabilities [B, C]."""

    @property
    @abstractmethod
    def metric_info(self) -> Mapping[str, MetricInfo]:
        """How to read each of `metrics`."""

    @abstractmethod
    def trivial_outputs(self, train_targets: Tensor) -> Tensor:
        """Return the outputs [num_outputs] of the best constant predictor for the training targets [N, ...]."""
