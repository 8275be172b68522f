"""Evaluation on several ranks: each takes some batches of a sweep, and the first one adds up the states of metrics.

The state of a metric is sums and rows (`mtl_cli.metrics.base`). That of each batch is kept apart until the end and
added up in the order of the batches. So no row counts twice, and the digits are those of one process.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mtl_cli.ranks.ranks import Ranks

if TYPE_CHECKING:
    from torchmetrics import Metric

State = list[dict[str, Tensor | list[Tensor]]]
"""What a metric, and those inside it, hold by name."""
States = dict[str, State]
"""By the name of the metric."""


LOSS = "loss"
"""Under what name the mean loss stands beside the metrics."""


def alone() -> bool:
    """Whether metrics are to exchange anything with other processes by themselves: never."""
    return False


class Shard:
    """The metrics of a task, as this rank sees them: the states of its batches, kept apart until they are added up."""

    def __init__(self, metrics: Mapping[str, "Metric"], loss: "Metric") -> None:
        self._metrics = {**metrics, LOSS: loss}
        self._batches: list[States] = []
        for metric in self._metrics.values():
            for part in parts_of(metric):  # torchmetrics adds up by itself where there are several processes
                part.distributed_available_fn = alone

    def end_batch(self) -> None:
        """Keep what the last batch of this rank said apart from the others."""
        self._batches.append(taken(self._metrics))

    def add_up(self, ranks: Ranks) -> None:
        """Make the states of the metrics, on the first rank, the sums of those of the batches of all ranks."""
        batches = in_sweep_order(ranks, self._batches)
        if batches is not None:
            given_back(self._metrics, batches)


def taken(metrics: Mapping[str, "Metric"]) -> States:
    """Return the states of metrics, which then start anew."""
    found: States = {}
    for name, metric in metrics.items():
        found[name] = [{key: kept(getattr(part, key)) for key in part._defaults} for part in parts_of(metric)]
        metric.reset()
    return found


def kept(state: "Tensor | list[Tensor]") -> "Tensor | list[Tensor]":
    """Return a state that a reset, which empties lists, leaves alone."""
    return list(state) if isinstance(state, list) else state


def given_back(metrics: Mapping[str, "Metric"], batches: Sequence[States]) -> None:
    """Make the states of metrics, which have just started anew, the sum of those of batches, in their order."""
    for states in batches:
        for name, metric in metrics.items():
            for part, state in zip(parts_of(metric), states[name], strict=True):
                for key, value in state.items():
                    before = getattr(part, key)
                    both = before + value if isinstance(value, list) else before + value.to(before.device)
                    setattr(part, key, both)
                part._update_count, part._computed = part._update_count + 1, None


def parts_of(metric: "Metric") -> Iterator["Metric"]:
    """Yield a metric and those inside it; none of them is to synchronise with other processes by itself."""
    from torchmetrics import Metric

    for module in metric.modules():
        if isinstance(module, Metric):
            yield module


def in_sweep_order(ranks: Ranks, own: Sequence[Any]) -> list[Any] | None:
    """Return what the ranks have of every batch, in the order of the sweep; None but on the first rank.

    Rank r of k has the batches r, r + k, …
    """
    found = ranks.collect(list(own))
    if found is None:
        return None
    total = sum(map(len, found))
    return [found[number % ranks.size][number // ranks.size] for number in range(total)]
