"""The means of a group's tasks, reported under the group's name beside the tasks themselves."""

import math
from collections.abc import Iterable, Mapping, Sequence

from mtl_cli.tasks.base import Task
from mtl_cli.training.meters import Result

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


def to_show(
    results: Mapping[str, Result], groups: Mapping[str, Sequence[str]], tasks: Mapping[str, Task] | None = None
) -> dict[str, Result]:
    """Return the results that tables and figures show: of many tasks the mean only; the records hold every task.

    Many are the tasks of a large group, and tasks beside groups where there are more than `MAX_SHOWN`. With `tasks`
    those with the best and the worst primary metric are shown too, under "best: <task>" and "worst: <task>".
    """
    grouped = {task for members in groups.values() for task in members}
    loose = [name for name in results if name not in grouped and name not in groups]
    whole = dict(results)
    if len(loose) > MAX_SHOWN:
        groups = {**groups, f"{len(loose)} tasks": loose}
        whole = with_group_means(results, groups)
    large = {group: members for group, members in groups.items() if len(members) > MAX_SHOWN}
    hidden = {task for members in large.values() for task in members}
    found: dict[str, Result] = {}
    for name, result in whole.items():
        if name not in hidden:
            found[name] = result
        if name in large and tasks is not None:
            found |= extremes([task for task in large[name] if task in results], results, tasks)
    return found


def extremes(names: Sequence[str], results: Mapping[str, Result], tasks: Mapping[str, Task]) -> dict[str, Result]:
    """Return the results of the tasks with the best and the worst primary metric among those that have one."""
    values = {}
    for name in names:
        primary = tasks[name].primary
        value = results[name].metrics.get(primary, math.nan)
        if not math.isnan(value):
            values[name] = -value if tasks[name].metric_info[primary].lower_is_better else value
    if not values:
        return {}
    best, worst = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    return {f"best: {best}": results[best], f"worst: {worst}": results[worst]}


def mean(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; NaN where there is none."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else float("nan")
