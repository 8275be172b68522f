"""What a metric of this program is, and metrics that others build on.

A metric's state is sums, or rows that are gathered. Every state is added with the reduction "sum" or "cat". There is no
other: `update` changes nothing else, and `compute` reads nothing else. So the states of the parts of a split, put
together, are the state of the whole, also where a part has no label. Batches may be of any size, and several processes
can evaluate a split. A mean is two sums, and a value per column is sums with one entry per column. What depends on the
order of all rows (AUC, NDCG, concordance) gathers them.

`update` does not wait for the device: it chooses no entries by their values (`torch.where` instead of an index) and
turns nothing into a Python number. Metrics that gather rows on the host, or look at words, are excepted.
`tests/metrics/test_every_metric.py` holds the rule for the metrics of every kind of task.

A kind of task may also give metrics of torchmetrics; `mtl_cli.metrics.borrowed` makes them metrics of this program.
What most runs need is written here, since importing torchmetrics takes longer than a short run.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from mtl_cli.metrics.choices_base import Choices
from mtl_cli.storage import on_disk

State = dict[str, Tensor | list[Tensor]]
"""What a metric has taken in, by name: sums, and lists of rows that are gathered."""


@dataclass(frozen=True)
class MetricInfo:
    """How to read a metric: a score, at most 1 and higher is better, or an error, at least 0 and lower is better."""

    lower_is_better: bool = False
    needs_different_labels: bool = False
    """Whether it is not defined (NaN) where all labels are the same, such as the AUC of a single class."""

    def skill(self, value: float, trivial: float) -> float:
        """Return the gain over the trivial predictor: (M − M₀)/(1 − M₀) for scores, 1 − M/M₀ for errors.

        Where the trivial predictor is perfect, what is lost against it: M − 1 or −M.
        """
        if self.lower_is_better:
            return 1.0 - value / trivial if trivial > 0 else -value
        return (value - trivial) / (1.0 - trivial) if trivial < 1.0 else value - 1.0


class Metric(ABC):
    """A number, or several, of the rows that it has taken in. States are attributes, named by `add_state`."""

    row_by_row: ClassVar[bool] = False
    """Whether each row adds a state of its own, and arithmetic that `torch.vmap` can do makes sums and metric of it.

    Then many rows, or many states, are computed at once. A subclass that changes `update` or `compute` says it anew.
    """

    def __init_subclass__(cls) -> None:
        """Take `row_by_row` from a class that changes what is computed and does not say it."""
        super().__init_subclass__()
        if {"update", "compute"} & set(vars(cls)) and "row_by_row" not in vars(cls):
            cls.row_by_row = False

    def __init__(self) -> None:
        self._starts: dict[str, Tensor | None] = {}
        """How each state begins; None stands for rows that are gathered."""

    def add_state(self, name: str, default: Tensor | list[Tensor], dist_reduce_fx: Literal["sum", "cat"]) -> None:
        """Declare a state: a tensor that is summed over parts of a split, or an empty list of rows."""
        assert isinstance(default, Tensor) == (dist_reduce_fx == "sum"), "sums are tensors, and rows are lists"
        self._starts[name] = default if isinstance(default, Tensor) else None
        self._begin(name)

    def _begin(self, name: str) -> None:
        start = self._starts[name]
        setattr(self, name, [] if start is None else start.clone())

    @abstractmethod
    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions [B, ...] and their target [B, ...]."""

    @abstractmethod
    def compute(self) -> Tensor:
        """Return the metric of all that was taken in; NaN where it is not defined."""

    def reset(self) -> None:
        """Start anew."""
        for name in self._starts:
            self._begin(name)

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Self:
        """Return the metric with its sums on a device, those of floats in `dtype` where it is given; it starts anew."""
        for name, start in self._starts.items():
            if start is not None:
                floats = dtype if start.is_floating_point() else None
                self._starts[name] = start.to(device=device, dtype=floats)
        self.reset()
        return self

    def state(self) -> State:
        """Return the state, which a reset leaves alone."""
        found = {name: getattr(self, name) for name in self._starts}
        return {name: list(value) if isinstance(value, list) else value for name, value in found.items()}

    def put(self, state: Mapping[str, Tensor | list[Tensor]]) -> None:
        """Make this the state."""
        for name, value in state.items():
            setattr(self, name, value)

    def sums_by_row(self, predictions: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the state [B, ...] that each row adds to sums; for metrics that are `row_by_row`."""
        starts = {name: start for name, start in self._starts.items() if start is not None}
        states = {name: start.expand(len(target), *start.shape).clone() for name, start in starts.items()}

        def one(state: dict[str, Tensor], row: Tensor, truth: Tensor) -> dict[str, Tensor]:
            self.put(state)
            self.update(row[None], truth[None])
            return {name: getattr(self, name) for name in starts}

        found: dict[str, Tensor] = torch.vmap(one)(states, predictions, target)
        self.reset()
        return found

    def of_sums(self, states: Mapping[str, Tensor]) -> Tensor:
        """Return the metric [R] of each of R states that are sums [R, ...]."""

        def one(state: Mapping[str, Tensor]) -> Tensor:
            self.put(state)
            return self.compute()

        if self.row_by_row:
            values = torch.vmap(one)(states)
        else:
            number = len(next(iter(states.values())))
            values = torch.stack([one({name: state[r] for name, state in states.items()}) for r in range(number)])
        self.reset()
        return values

    takes_choices: ClassVar[bool] = False
    """Whether `of_choices` computes many choices of gathered rows at once."""

    def of_choices(self, rows: Mapping[str, Tensor], choices: Choices) -> Tensor:
        """Return the metric [R] of each of R choices of the gathered rows by state."""
        raise NotImplementedError(f"{type(self).__name__} takes no choices")

    def told_apart(self, state: str, rows: Tensor, copy: int) -> Tensor:
        """Return rows of a state as those of copy number `copy` of them, where rows are drawn again.

        A metric that compares rows of one group overrides it: copies of a group are groups of their own.
        """
        return rows


class Collected(Metric):
    """Keeps predictions and targets on the host and computes once, in float64: sums of a split lose no digits.

    Those of many rows are on the disk (`mtl_cli.storage.on_disk`), 4 bytes a number.
    """

    row_by_row = True
    predictions: list[Tensor]
    targets: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("predictions", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in predictions [B, ...] and their target [B, ...]."""
        self.predictions.append(predictions.detach().cpu())
        self.targets.append(target.cpu())
        on_disk.pack(self.predictions)
        on_disk.pack(self.targets)

    def compute(self) -> Tensor:
        """Return the metric, NaN where it is not defined."""
        return self.value(torch.cat(self.predictions).double(), torch.cat(self.targets).double())

    @abstractmethod
    def value(self, predictions: Tensor, target: Tensor) -> Tensor:
        """Return the metric of a whole split; both float64 [N, ...]."""


class EntryMean(Metric):
    """The mean of entries that count, as two sums: in float64, without a wait for the device."""

    row_by_row = True
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def add(self, entries: Tensor, marks: Tensor) -> None:
        """Take in entries [B, ...], numbers or truths, where `marks` of the same shape are True."""
        self.total += torch.where(marks, entries, 0).sum(dtype=self.total.dtype)
        self.count += marks.sum()

    def compute(self) -> Tensor:
        """Return the mean; NaN where no entry counts."""
        return self.total / self.count
