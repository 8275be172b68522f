"""What a task is: a head, a loss, metrics and the trivial predictor that its metrics are compared with."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.config.on_hand import either, target_of
from mtl_cli.features import FeatureSpec
from mtl_cli.heads.base import Head, heads_that_give

if TYPE_CHECKING:
    from torchmetrics import Metric

Columns = dict[str, "np.ndarray[Any, Any]"]
"""Columns of a table by name, each [B]."""


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

    primary: str
    """The metric that the task is selected by."""
    field_kind: ClassVar[str | None] = None
    """The kind of target that a dataset of files reads for it; None: only fields that the dataset declares itself."""
    head_gives: ClassVar[str] = "vector"
    """What the task's head gives for a sample: see `Head.gives`."""

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"tasks.{name}.weight is {weight}; a weight is a finite number ≥ 0.")
        if head.gives != self.head_gives:
            fitting = [f"tasks.{name}.head._target_={target_of(each)}" for each in heads_that_give(self.head_gives)]
            raise ValueError(
                f"tasks.{name}.head is a {type(head).__name__}, which gives a {head.gives} of outputs per sample; "
                f"{type(self).__name__} needs a {self.head_gives}. "
                + (f"Use {either(fitting)}." if fitting else "No head on hand gives that.")
            )
        self.name, self.target, self.weight, self.field = name, target, weight, field
        self.head = head

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Width of the head's output."""

    def build_head(self, spec: FeatureSpec) -> nn.Module:
        """Return the head: a module from `Features` of that spec to outputs [B, num_outputs]."""
        return self.head.build(spec, self.num_outputs)

    @abstractmethod
    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss over the labelled entries of `target`; outputs float32 [B, num_outputs]."""

    def label_marks(self, target: Tensor) -> Tensor:
        """True where a label is present in `target` [B, ...]: one mark a label, [B] or [B, ...]."""
        return labelled(target)

    def labelled_entries(self, target: Tensor) -> int:
        """Return how many labels `target` [B, ...] holds."""
        return int(self.label_marks(target).sum())

    def labelled_rows(self, target: Tensor) -> Tensor:
        """Return which rows [B] of `target` [B, ...] have a label, for the metrics to see."""
        marks = self.label_marks(target)
        return marks if marks.ndim == 1 else marks.flatten(1).any(dim=1)

    def label_problem(self, labels: Tensor) -> str | None:
        """Return what is wrong with labels [N, ...] of a split for this kind of task, in words, or None."""
        return None

    @abstractmethod
    def metrics(self) -> "dict[str, Metric]":
        """Return fresh metrics by name, each updated with what `predictions` and `references` return."""

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return what metrics compare with the target, such as probabilities [B, C]."""

    def references(self, target: Tensor) -> Tensor:
        """Return the target of labelled rows as the metrics take it."""
        return target

    @abstractmethod
    def decode(self, outputs: Tensor) -> Columns:
        """Return predictions and probabilities in the target's own terms, for mtl-predict; outputs [B, num_outputs].

        The names of the columns begin with the task's.
        """

    @property
    @abstractmethod
    def metric_info(self) -> Mapping[str, MetricInfo]:
        """How to read each of `metrics`."""

    @abstractmethod
    def trivial_outputs(self, train_targets: Tensor) -> Tensor:
        """Return the outputs [num_outputs] of the best constant predictor for the training targets [N, ...]."""

    def repeated(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the outputs [num_outputs] of a constant predictor for every sample of `target` [B, ...]."""
        return outputs.expand(len(target), -1)


def masked_mean(losses: Tensor, marks: Tensor) -> Tensor:
    """Return the mean of `losses` where `marks`, of the same shape, are True; 0 where none is."""
    return torch.where(marks, losses, 0.0).sum() / marks.sum().clamp(min=1)


def needs_kind(name: str, target: str, field: FieldSpec, *kinds: str) -> None:
    """Refuse a field of another kind than these.

    Raises:
        ValueError: the field is of another kind.
    """
    if field.kind not in kinds:
        wanted = " or ".join(kinds)
        raise ValueError(f"tasks.{name}.target is '{target}', a field of kind {field.kind}; kind {wanted} is needed.")
