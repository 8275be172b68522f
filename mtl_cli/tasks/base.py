"""What a task is: a head, a loss, metrics and the trivial predictor that its metrics are compared with."""

import math
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.batch import FieldSpec
from mtl_cli.config.on_hand import either, target_of
from mtl_cli.features import FeatureSpec
from mtl_cli.heads.base import Head, heads_that_give
from mtl_cli.metrics.base import Metric, MetricInfo
from mtl_cli.tasks.answers_base import Answering
from mtl_cli.tasks.coded_base import Coded as Coded
from mtl_cli.tasks.summary_base import LabelSummary, labelled_rows


class Task(Answering):
    """One task: what is predicted from features, how wrong a prediction is, and how that is reported.

    Built with the arguments of its YAML plus `name` and `field`, the spec of its label field.
    """

    primary: str
    """The metric that the task is selected by."""
    field_kind: ClassVar[str | None] = None
    """The kind of target that a dataset of files reads for it; None: only fields that the dataset declares itself."""
    head_gives: ClassVar[str] = "vector"
    """What the task's head gives for a sample: see `Head.gives`."""
    accepts: ClassVar[tuple[str, ...]] = ()
    """Kinds of field that its target may be; none named takes any."""
    adds_up: ClassVar[bool] = True
    """Whether the loss of a batch is the mean of its parts' losses, each weighted by its labels."""
    summary_class: ClassVar[type[LabelSummary]] = LabelSummary
    """What is counted of the training labels, for `trivial_outputs` and the field's spec."""

    chosen_metrics: tuple[str, ...] = ()
    """The metrics that are reported where the task's node names some; () stands for all."""

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
        if problem := self.field_problem(name, target, field):
            raise ValueError(problem)
        if field.weights and not self.takes_weights():
            raise ValueError(
                f"tasks.{name}.weight_column gives rows weights, which a {type(self).__name__} does not take. Leave it "
                f"out: ~tasks.{name}.weight_column."
            )
        self.name, self.target, self.weight, self.field = name, target, weight, field
        self.head = head

    @classmethod
    def field_problem(cls, name: str, target: str, field: FieldSpec) -> str | None:
        """Return that the target's field is of another kind than the task takes, in words, or None."""
        if not cls.accepts or field.kind in cls.accepts:
            return None
        wanted = " or ".join(cls.accepts)
        return f"tasks.{name}.target is '{target}', a field of kind {field.kind}; kind {wanted} is needed."

    def build_head(self, spec: FeatureSpec) -> nn.Module:
        """Return the head: a module from `Features` of that spec to outputs [B, num_outputs]."""
        return self.head.build(spec, self.num_outputs)

    @abstractmethod
    def loss(self, outputs: Any, target: Tensor) -> Tensor:  # noqa: ANN401  an Output of the head
        """Return the mean loss over the labelled entries of `target`; outputs float32 [B, num_outputs]."""

    def __init_subclass__(cls) -> None:
        """Take `full_loss`, and losses with weights of rows, from a class that changes the loss and says no others."""
        super().__init_subclass__()
        if "loss" in vars(cls) and not {"entry_losses", "weighted_loss"} & set(vars(cls)):
            cls.entry_losses = Task.entry_losses  # type: ignore[method-assign]
            cls.weighted_loss = Task.weighted_loss  # type: ignore[method-assign]
        if "loss" in vars(cls) and "full_loss" not in vars(cls):
            cls.full_loss = Task.full_loss  # type: ignore[method-assign]

    def full_loss(self, outputs: Any, target: Tensor) -> Tensor:  # noqa: ANN401  an Output of the head
        """Return what `loss` does where `target` is known to hold all `labels_of` its rows, to the same bits."""
        return self.loss(outputs, target)

    def labels_of(self, rows: int) -> int | None:
        """Return how many labels so many rows have where none is missing; None where `full_loss` saves nothing."""
        return None

    def likelihood(self) -> str | None:
        """Return the distribution whose negative logarithm the loss is, given the outputs, or None if it is another.

        "gaussian": squared errors; "bernoulli": a binary cross-entropy per output; "categorical": a cross-entropy.
        A subclass with another loss has none, unless it says so.
        """
        return None

    def expected(self, target: Tensor) -> Tensor:
        """Return what the mean of the likelihood should be [B, O], 0 where there is no label; see `likelihood`."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood")

    def matched(self, outputs: Any, target: Tensor) -> Any:  # noqa: ANN401  an Output of the head
        """Return the outputs at the positions of `target`; a kind of task with maps brings them to its size."""
        return outputs

    def loss_of(self, outputs: Any, target: Tensor, weights: Tensor | None) -> Tensor:  # noqa: ANN401  an Output
        """Return the mean loss over the labelled entries, each multiplied by its row's weight where rows have some.

        It is divided by the number of labels, not by the sum of weights, so that parts of a batch add up to the whole.
        Weights [B] are 1 on average over the training labels.
        """
        return self.loss(outputs, target) if weights is None else self.weighted_loss(outputs, target, weights)

    def weighted_loss(self, outputs: Any, target: Tensor, weights: Tensor) -> Tensor:  # noqa: ANN401  an Output
        """Return the loss with weights of rows [B]; for kinds that have `entry_losses`."""
        losses = self.entry_losses(outputs, target)
        by_row = weights.reshape(-1, *[1] * (losses.ndim - 1))
        return masked_mean(losses * by_row, self.label_marks(target).reshape(losses.shape))

    def entry_losses(self, outputs: Any, target: Tensor) -> Tensor:  # noqa: ANN401  an Output of the head
        """Return the loss of each entry that may be labelled, [B] or [B, ...], whose mean is `loss`.

        A kind of task that extends this, or `weighted_loss`, takes weights of rows (`weight_column`).
        """
        raise NotImplementedError

    @classmethod
    def takes_weights(cls) -> bool:
        """Return whether rows may have weights."""
        return cls.entry_losses is not Task.entry_losses or cls.weighted_loss is not Task.weighted_loss

    @classmethod
    def adds_entries(cls) -> bool:
        """Return whether the loss, with weights of rows or without, is the mean of `entry_losses` over the labels."""
        return cls.entry_losses is not Task.entry_losses and cls.weighted_loss is Task.weighted_loss

    def label_marks(self, target: Tensor) -> Tensor:
        """True where a label is present in `target` [B, ...]: one mark per label, [B] or [B, ...]."""
        return self.summary_class.marks(target)

    def labelled_entries(self, target: Tensor) -> int:
        """Return how many labels `target` [B, ...] holds."""
        return int(self.label_marks(target).sum())

    def labelled_rows(self, target: Tensor) -> Tensor:
        """Return which rows [B] of `target` [B, ...] have a label, for the metrics to see."""
        return labelled_rows(self.label_marks(target))

    def label_problem(self, labels: Tensor) -> str | None:
        """Return what is wrong with labels [N, ...] of a split for this kind of task, in words, or None."""
        return self.summary_class.problem(self.field, labels)

    def summarise(self, labels: Tensor) -> LabelSummary:
        """Return the summary of labels [N, ...] that are all at hand."""
        found = self.summary_class(self.field)
        found.add(labels)
        return found

    skip_unfit: bool = False
    """Whether training rows that `fewest_positions` does not let fit have no part in the loss, or are refused."""

    def fewest_positions(self, target: Tensor) -> Tensor | None:
        """Return how many positions of a sequence each row of `target` [B, ...] needs [B]; None where any will do."""
        return None

    @abstractmethod
    def metrics(self) -> dict[str, Metric]:
        """Return fresh metrics by name, each updated with what `predictions` and `references` return."""

    def choose_metrics(self, names: Sequence[str]) -> None:
        """Report these metrics only; the first one is what the task is selected by.

        Raises:
            ValueError: the task has no such metric.
        """
        known = list(self.metric_info)
        if not names or len(set(names)) < len(names) or any(name not in known for name in names):
            raise ValueError(
                f"tasks.{self.name}.metrics is {list(names)}; it names some of {', '.join(known)}, each once. "
                f"Use for example ++tasks.{self.name}.metrics=[{self.primary}]."
            )
        self.chosen_metrics, self.primary = tuple(names), names[0]

    @property
    def reported(self) -> tuple[str, ...]:
        """The names of the metrics that are reported, all of `metric_info` unless some are chosen."""
        return self.chosen_metrics or tuple(self.metric_info)

    def references(self, target: Tensor) -> Tensor:
        """Return the target of labelled rows as the metrics take it."""
        return target

    @property
    @abstractmethod
    def metric_info(self) -> Mapping[str, MetricInfo]:
        """How to read each of `metrics`."""

    @abstractmethod
    def trivial_outputs(self, summary: Any) -> Any:  # noqa: ANN401  an instance of `summary_class`; an Output
        """Return the outputs, usually [num_outputs], of the predictor that is the best constant one in training."""

    @property
    def form(self) -> Hashable:
        """What tasks must have in common to be computed as one (`TaskStack`); None, the default, keeps a task apart.

        A subclass has no form unless it says so, because it may compute something else.
        """
        return None

    def stacked(self, tasks: "Sequence[Task]") -> Any:  # noqa: ANN401  a TaskStack, which is built on tasks
        """Return tasks of one form as one (`mtl_cli.tasks.stack_base`); for kinds of task that have a form."""
        raise NotImplementedError(f"{type(self).__name__} has no form")

    def repeated(self, outputs: Any, target: Tensor) -> Any:  # noqa: ANN401  an Output of the head
        """Return the outputs [num_outputs] of a constant predictor for every sample of `target` [B, ...]."""
        return outputs.expand(len(target), -1)


def masked_mean(losses: Tensor, marks: Tensor) -> Tensor:
    """Return the mean of `losses` where `marks`, of the same shape, are True; 0 where none is."""
    return torch.where(marks, losses, 0.0).sum() / marks.sum().clamp(min=1)
