"""Any number of several labels."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task, masked_mean
from mtl_cli.tasks.class_base import class_labels, probability_columns
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.tasks.summary_base import LabelSummary, Totals

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric


class LabelTotals(Totals):
    """How often each label is there, of the entries that are known."""

    @staticmethod
    def width(field: FieldSpec) -> int:
        """Return C, the number of labels."""
        return field.num_classes

    @staticmethod
    def problem(field: FieldSpec, labels: Tensor) -> str | None:
        """Return that an entry is neither 0 nor 1."""
        wrong = labels[labelled(labels) & (labels != 0) & (labels != 1)]
        return f"holds {wrong[0]:g}; entries of a multilabel target are 0, 1 or missing" if len(wrong) else None

    def spec(self) -> FieldSpec:
        """Return the spec with the number of rows that have each label."""
        return self.field if self.field.counts else replace(self.field, counts=tuple(self.total.long().tolist()))


class Multilabel(Task):
    """C labels, each there (1), not there (0) or unknown (NaN): mean average precision, macro- and micro-F1.

    Targets float32 [B, C]. The loss is the mean binary cross-entropy of the entries that are known.
    """

    field_kind = "multilabel"
    primary = "map"
    calibrates: ClassVar[str | None] = "labels"
    accepts: ClassVar[tuple[str, ...]] = ("multilabel",)
    summary_class: ClassVar[type[LabelSummary]] = LabelTotals
    metric_info: Mapping[str, MetricInfo] = {"map": MetricInfo(), "f1": MetricInfo(), "f1_micro": MetricInfo()}

    @property
    def num_outputs(self) -> int:
        """C, the number of labels."""
        return self.field.num_classes

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a known entry; outputs (logits) and target [B, C]."""
        return masked_mean(self.entry_losses(outputs, target), labelled(target))

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry [B, C]."""
        return F.binary_cross_entropy_with_logits(outputs, target.nan_to_num(), reduction="none")

    def full_loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of an entry, without a look for missing ones."""
        return F.binary_cross_entropy_with_logits(outputs, target, reduction="none").mean()

    def labels_of(self, rows: int) -> int | None:
        """Return C per row."""
        return rows * self.num_outputs

    @property
    def form(self) -> Hashable:
        """The class, where rows have no weights."""
        return Multilabel if type(self) is Multilabel and not self.field.weights else None

    def stacked(self, tasks: Sequence[Task]) -> "MultilabelStack":
        """Return tasks of one form as one."""
        return MultilabelStack([task for task in tasks if isinstance(task, Multilabel)])

    def likelihood(self) -> str | None:
        """Return "bernoulli"."""
        return "bernoulli" if type(self).loss is Multilabel.loss else None

    def expected(self, target: Tensor) -> Tensor:
        """Return the labels [B, C]."""
        return target.nan_to_num()

    def metrics(self) -> "dict[str, Metric]":
        """Return mean average precision ("map"), macro-F1 ("f1") and micro-F1, of the entries that are known."""
        from mtl_cli.metrics.label_sets import LabelF1, MicroF1
        from mtl_cli.metrics.mean_average_precision import MeanAveragePrecision

        size = self.num_outputs
        return {"map": MeanAveragePrecision(), "f1": LabelF1(size), "f1_micro": MicroF1(size)}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the probability of each label [B, C]."""
        return outputs.sigmoid()

    def references(self, target: Tensor) -> Tensor:
        """Return the labels as int64 [B, C], −1 where one is missing."""
        return target.nan_to_num(nan=-1.0).long()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of each label [B, C]."""
        return outputs.sigmoid()

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return for each label 1 or 0, and its probability."""
        probabilities = self.predictions(outputs)
        labels = class_labels(self.field, self.num_outputs)
        values = (probabilities > 0.5).long()
        columns = {f"{self.name}_prediction_{label}": Coded(values[:, i]) for i, label in enumerate(labels)}
        return {**columns, **probability_columns(self.name, labels, probabilities)}

    def trivial_outputs(self, summary: Totals) -> Tensor:
        """Return the log odds of each label among the training labels [C]."""
        return torch.logit(summary.mean.float().nan_to_num(0.5), eps=1e-6)


class MultilabelStack(TaskStack[Multilabel]):
    """C labels of T tasks; targets [B, T, C]."""

    def prepared(self, target: Tensor) -> Tensor:
        """Return the labels."""
        return target

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry [B, T, C]."""
        return F.binary_cross_entropy_with_logits(outputs, target, reduction="none")

    def metrics(self) -> "dict[str, Metric]":
        """Return mean average precision, macro- and micro-F1 of each task."""
        from mtl_cli.metrics.mean_average_precision import MeanAveragePrecision
        from mtl_cli.metrics.stack_base import Stacked

        each = self.tasks[0].metrics()
        return {"map": MeanAveragePrecision(), **{k: Stacked(each[k], len(self.tasks)) for k in ("f1", "f1_micro")}}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the probability of each label [B, T, C]."""
        return outputs.sigmoid()
