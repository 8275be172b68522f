"""The means of a group's tasks, reported under the group's name beside the tasks themselves."""

import math
from collections.abc import Iterable, Mapping, Sequence

from mtl_cli.training.evaluate import Result

MAX_SHOWN = 24
"""Tasks of a group up to which tables and figures show each of them."""


def with_group_means(results: Mapping[str, Result], groups: Mapping[str, Sequence[str]]) -> dict[str, Result]:
    """Return results by task and, after them, the mean of each group: of its loss and of each of its metrics.

    A task whose metric has no value on the split (no label, or the AUC of a single class) is left out of the mean.
    """
    found = dict(results)
    for group, tasks in groups.items():
        members = [results[task] for task in tasks if task in results]
        names = dict.fromkeys(name for member in members for name in member.metrics)
        metrics = {name: mean(member.metrics[name] for member in members if name in member.metrics) for name in names}
        found[group] = Result(mean(each.loss for each in members), metrics, None, sum(each.count for each in members))
    return found


def to_show(results: Mapping[str, Result], groups: Mapping[str, Sequence[str]]) -> dict[str, Result]:
    """Return the results that tables and figures show: of a large group the mean only; the records hold every task."""
    hidden = {task for tasks in groups.values() if len(tasks) > MAX_SHOWN for task in tasks}
    return {name: result for name, result in results.items() if name not in hidden}


def mean(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; NaN where there is none."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else float("nan")
