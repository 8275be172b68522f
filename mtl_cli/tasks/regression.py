"""Real targets: squared, absolute or Huber error, or the squared error of logarithms."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import FieldSpec, labelled
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task, masked_mean
from mtl_cli.tasks.stack_base import TaskStack, on
from mtl_cli.tasks.summary_base import LabelSummary, LogTotals, Medians, Totals

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

LIMIT = 87.0
"""Logarithms of predictions are kept within ± LIMIT, where float32 holds their exponentials."""


class Regression(Task):
    """A number, or a vector of D, by squared error: MAE, RMSE and R²; targets float32 [B] or [B, D].

    Outputs and loss are on the scale (y − mean)/std of the field, `mean` and `std` being the training split's; metrics
    and predictions are in the target's own unit. Labels far from 0, such as 1.6e12 ± 3e4, are centred in float64. The
    loss is the mean over labelled entries, metrics the mean over columns of each column's own.
    """

    field_kind = "real"
    primary = "rmse"
    calibrates: ClassVar[str | None] = "numbers"
    accepts: ClassVar[tuple[str, ...]] = ("real",)
    summary_class: ClassVar[type[LabelSummary]] = Totals
    metric_info: Mapping[str, MetricInfo] = {
        "mae": MetricInfo(lower_is_better=True),
        "rmse": MetricInfo(lower_is_better=True),
        "r2": MetricInfo(needs_different_labels=True),
    }

    def __init__(self, target: str, weight: float, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        size = self.num_outputs
        exact = torch.float64 if field.far else torch.float32
        self.mean = torch.tensor(field.mean or [0.0] * size, dtype=exact)
        self.std = torch.tensor([std if std > 0 else 1.0 for std in field.std] or [1.0] * size, dtype=exact)

    @property
    def num_outputs(self) -> int:
        """D, the number of columns."""
        return math.prod(self.field.shape)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a labelled entry; outputs [B, D], target [B] or [B, D]."""
        marks = labelled(target).reshape(outputs.shape)
        return masked_mean(self.entry_losses(outputs, target), marks)

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry [B, D]."""
        return self.errors(outputs, self.scaled(target.nan_to_num()))

    def full_loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of an entry: 50 µs where `loss` takes 80, and squared in one go."""
        if type(self).errors is Regression.errors:
            return F.mse_loss(outputs, self.scaled(target))
        return self.errors(outputs, self.scaled(target)).mean()

    def labels_of(self, rows: int) -> int | None:
        """Return D per row."""
        return rows * self.num_outputs

    def errors(self, outputs: Tensor, scaled: Tensor) -> Tensor:
        """Return the loss of each entry [B, D], squared; `scaled` is the target on the scale of outputs."""
        return F.mse_loss(outputs, scaled, reduction="none")

    def scaled(self, target: Tensor) -> Tensor:
        """Return the target as (y − mean)/std [B, D]."""
        columns = target.reshape(target.shape[0], self.num_outputs)
        return ((columns - on(self.mean, target)) / on(self.std, target)).float()

    def likelihood(self) -> str | None:
        """Return "gaussian"."""
        kind = type(self)
        return "gaussian" if kind.loss is Regression.loss and kind.errors is Regression.errors else None

    def expected(self, target: Tensor) -> Tensor:
        """Return the target on the scale of the outputs [B, D]."""
        return self.scaled(target).nan_to_num()

    def metrics(self) -> "dict[str, Metric]":
        """Return MAE, RMSE and R²."""
        from mtl_cli.metrics.columns import R2, ColumnMAE, ColumnRMSE

        size = self.num_outputs
        return {
            "mae": ColumnMAE(size),
            "rmse": ColumnRMSE(size),
            "r2": R2(self.predictions(torch.zeros(1, size)).flatten()),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predictions in the target's own unit [B, D]."""
        return outputs * self.std.to(outputs.device) + self.mean.to(outputs.device)

    def references(self, target: Tensor) -> Tensor:
        """Return the target [B, D]."""
        return target.reshape(len(target), self.num_outputs)

    @property
    def form(self) -> Hashable:
        """The class, where the target is one number per row that float32 holds well."""
        return type(self) if type(self) in (Regression, L1Regression) and self.is_plain else None

    @property
    def is_plain(self) -> bool:
        """Whether the target is one number per row, near enough to 0 for float32, and rows have no weights."""
        return not (self.field.shape or self.field.far or self.field.weights)

    def stacked(self, tasks: Sequence[Task]) -> "RegressionStack":
        """Return tasks of one form as one."""
        return RegressionStack([task for task in tasks if isinstance(task, Regression)])

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the predictions in the target's own unit, a column each."""
        values = self.predictions(outputs)
        if not self.field.shape:
            return {f"{self.name}_prediction": Coded(values[:, 0])}
        names = self.field.columns if len(self.field.columns) == self.num_outputs else range(self.num_outputs)
        return {f"{self.name}_prediction_{column}": Coded(values[:, i]) for i, column in enumerate(names)}

    def trivial_outputs(self, summary: Any) -> Tensor:  # noqa: ANN401  an instance of `summary_class`
        """Return the mean of each column of the training labels [D], scaled."""
        return self.scaled(summary.mean.to(self.mean.dtype).unsqueeze(0))[0].nan_to_num()


class L1Regression(Regression):
    """Regression by absolute error, whose optimum is the median; selected by MAE."""

    primary = "mae"
    summary_class: ClassVar[type[LabelSummary]] = Medians

    def errors(self, outputs: Tensor, scaled: Tensor) -> Tensor:
        """Return the loss of each entry [B, D], absolute."""
        return (outputs - scaled).abs()

    def trivial_outputs(self, summary: Any) -> Tensor:  # noqa: ANN401  an instance of `summary_class`
        """Return the median of each column of the training labels [D], scaled."""
        return self.scaled(summary.medians.unsqueeze(0))[0].nan_to_num()


class HuberRegression(L1Regression):
    """Regression by the Huber loss: squared, e²/2, up to `delta` standard deviations, from there on linear.

    Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 1964. Selected by MAE.
    """

    def __init__(self, target: str, weight: float, delta: float, head: Head, *, name: str, field: FieldSpec) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        if not 0.0 < delta < math.inf:
            raise ValueError(f"tasks.{name}.delta is {delta}; it is above 0, in standard deviations of the target.")
        self.delta = delta

    @property
    def form(self) -> Hashable:
        """The class and δ."""
        return (HuberRegression, self.delta) if type(self) is HuberRegression and self.is_plain else None

    def errors(self, outputs: Tensor, scaled: Tensor) -> Tensor:
        """Return the loss of each entry [B, D]."""
        return F.huber_loss(outputs, scaled, reduction="none", delta=self.delta)


class LogRegression(Regression):
    """A number above 0, or a vector of D, by the squared error of its logarithm; targets float32 [B] or [B, D].

    So an error of 10 % counts alike at 100 and at 100,000. What is learned is the mean logarithm: predictions are
    geometric means, which are the medians where logarithms are symmetric. They are in the target's own unit, as the
    metrics are. `mean` and `std` of the field are those of the logarithms. Selected by MAE.
    """

    primary = "mae"
    summary_class: ClassVar[type[LabelSummary]] = LogTotals

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry [B, D]."""
        return self.errors(outputs, self.scaled(target.nan_to_num(nan=1.0)))

    def scaled(self, target: Tensor) -> Tensor:
        """Return the target as (log y − mean)/std [B, D]."""
        return super().scaled(target.log())

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predictions in the target's own unit [B, D]."""
        return super().predictions(outputs).clamp(-LIMIT, LIMIT).exp()

    def trivial_outputs(self, summary: Any) -> Tensor:  # noqa: ANN401  an instance of `summary_class`
        """Return the mean logarithm of each column of the training labels [D], scaled."""
        return ((summary.mean - self.mean) / self.std).float().nan_to_num()


class RegressionStack(TaskStack[Regression]):
    """Numbers of T tasks, each on the scale of its own field."""

    def __init__(self, tasks: Sequence[Regression]) -> None:
        super().__init__(tasks)
        self.mean, self.std = (torch.cat([getattr(task, name) for task in tasks]) for name in ("mean", "std"))  # [T]

    def prepared(self, target: Tensor) -> Tensor:
        """Return the target on the scale of the outputs."""
        return (target - on(self.mean, target)) / on(self.std, target)

    def entry_losses(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each entry [B, T]."""
        return self.tasks[0].errors(outputs.squeeze(-1), target)

    def metrics(self) -> "dict[str, Metric]":
        """Return MAE, RMSE and R² of each task."""
        from mtl_cli.metrics.stack_base import R2s, StackedMAE, StackedRMSE

        size = len(self.tasks)
        return {"mae": StackedMAE(size), "rmse": StackedRMSE(size), "r2": R2s(self.mean)}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predictions in the targets' own units [B, T]."""
        return outputs.squeeze(-1) * on(self.std, outputs) + on(self.mean, outputs)
