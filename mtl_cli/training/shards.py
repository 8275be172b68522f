"""Evaluation on several ranks: each takes some batches of a sweep, and the first one adds up the states of metrics.

The state of a metric is sums and rows (`mtl_cli.metrics.base`). That of each batch is kept apart until the end and
added up in the order of the batches. So no row counts twice, and the digits are those of one process.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mtl_cli.metrics.base import Metric, State
from mtl_cli.ranks.ranks import Ranks

States = dict[str, State]
"""By the name of the metric."""


LOSS = "loss"
"""Under what name the mean loss stands beside the metrics."""


class Shard:
    """The metrics of a task, as this rank sees them: the states of its batches, kept apart until they are added up."""

    def __init__(self, metrics: Mapping[str, Metric], loss: Metric) -> None:
        self._metrics = {**metrics, LOSS: loss}
        self._batches: list[States] = []

    def end_batch(self) -> None:
        """Keep what the last batch of this rank said apart from the others."""
        self._batches.append(taken(self._metrics))

    def add_up(self, ranks: Ranks) -> None:
        """Make the states of the metrics, on the first rank, the sums of those of the batches of all ranks."""
        batches = in_sweep_order(ranks, self._batches)
        if batches is not None:
            given_back(self._metrics, batches)


def taken(metrics: Mapping[str, Metric]) -> States:
    """Return the states of metrics, which then start anew."""
    found = {name: metric.state() for name, metric in metrics.items()}
    for metric in metrics.values():
        metric.reset()
    return found


def given_back(metrics: Mapping[str, Metric], batches: Sequence[States]) -> None:
    """Make the states of metrics, which have just started anew, the sum of those of batches, in their order."""
    for states in batches:
        for name, metric in metrics.items():
            metric.put(both(metric.state(), states[name]))


def both(first: State, second: State) -> State:
    """Return the state of two parts of a split."""
    found: State = {}
    for name, value in first.items():
        more = second[name]
        if isinstance(value, list):
            assert isinstance(more, list)
            found[name] = [*value, *more]
        else:
            assert isinstance(more, Tensor)
            found[name] = value + more.to(value.device)
    return found


def in_sweep_order(ranks: Ranks, own: Sequence[Any]) -> list[Any] | None:
    """Return what the ranks have of every batch, in the order of the sweep; None but on the first rank.

    Rank r of k has the batches r, r + k, …
    """
    found = ranks.collect(list(own))
    if found is None:
        return None
    total = sum(map(len, found))
    return [found[number % ranks.size][number // ranks.size] for number in range(total)]
