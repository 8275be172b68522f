"""Every metric by group of rows: tables, gaps between groups with their intervals, and the worst group."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.files import write_bytes, write_json
from mtl_cli.report.tables import number, range_text, table
from mtl_cli.runs.statistics.resampling import Drawing, Interval, interval
from mtl_cli.runs.statistics.row_groups import Grouping
from mtl_cli.tasks.base import Task
from mtl_cli.training.part_states import PartStates

Array = np.ndarray[Any, Any]
FEW = 10
"""Rows below which a group is too small for its numbers to say much."""


@dataclass(frozen=True)
class GroupMetric:
    """One metric of one task on the rows of one group; `difference` is to the metric of all rows."""

    by: str
    group: str
    task: str
    metric: str
    rows: int
    labels: int
    value: float | None
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None


@dataclass(frozen=True)
class Gap:
    """How far apart the best and the worst group are in one metric of one task."""

    by: str
    task: str
    metric: str
    best: str
    worst: str
    gap: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Compared:
    """What a comparison of groups found."""

    groups: list[GroupMetric]
    gaps: list[Gap]


def compare(task: Task, states: PartStates, grouping: Grouping, rows: Mapping[str, int], drawing: Drawing) -> Compared:
    """Return every metric of a task by group, and the gaps; `rows` are those of each group."""
    everything = range(states.parts.num_groups)
    whole, whole_drawn = states.values(everything), states.replicates(drawing.times, everything)
    values = {group: states.values(finest) for group, finest in grouping.groups.items()}
    drawn = {group: states.replicates(drawing.times, finest) for group, finest in grouping.groups.items()}
    by_part = states.labels.reshape(-1, states.parts.num_groups).sum(dim=0)
    found, gaps = [], []
    for metric in states.metrics:
        for group, finest in grouping.groups.items():
            value = values[group][metric]
            own = interval(drawn[group][metric])
            other = interval(difference(drawn[group][metric], whole_drawn[metric]))
            labels = int(by_part[finest].sum())
            found.append(
                GroupMetric(
                    grouping.by,
                    group,
                    task.name,
                    metric,
                    rows[group],
                    labels,
                    known(value),
                    *ends(own),
                    known(value - whole[metric]),
                    *ends(other),
                )
            )
        compared = candidates(
            values, metric, {group: int(by_part[own].sum()) for group, own in grouping.groups.items()}
        )
        gaps += gap_of(task, metric, grouping.by, {group: values[group][metric] for group in compared}, drawn)
    return Compared(found, gaps)


def candidates(values: Mapping[str, Mapping[str, float]], metric: str, labels: Mapping[str, int]) -> list[str]:
    """Return the groups among which the best and the worst are: those with a value, and with `FEW` labels or more.

    The smallest of groups are the extremes by chance. They count only where there are no two larger ones.
    """
    present = [group for group in values if not math.isnan(values[group][metric])]
    large = [group for group in present if labels[group] >= FEW]
    return large if len(large) >= 2 else present


def gap_of(
    task: Task,
    metric: str,
    by: str,
    values: Mapping[str, float],
    drawn: Mapping[str, Mapping[str, Array]],
) -> list[Gap]:
    """Return the gap between the best and the worst of the groups that have `values`, where there are two.

    The interval is that of the difference between these two groups. The larger the number of groups, the larger the
    gap between the extremes is by chance alone.
    """
    lower = metric == "loss" or task.metric_info[metric].lower_is_better
    sign = -1.0 if lower else 1.0
    ordered = sorted(values, key=lambda group: sign * values[group])
    if len(ordered) < 2:
        return []
    worst, best = ordered[0], ordered[-1]
    found = interval(sign * difference(drawn[best][metric], drawn[worst][metric]))
    gap = abs(values[best] - values[worst])
    return [Gap(by, task.name, metric, best, worst, float(f"{gap:.7g}"), *ends(found))]


def difference(first: Array, second: Array) -> Array:
    """Return the difference of replicates, as far as both have some."""
    size = min(len(first), len(second))
    return first[:size] - second[:size]


def known(value: float) -> float | None:
    """Return a value with 7 digits, None for NaN."""
    return None if math.isnan(value) else float(f"{value:.7g}")


def ends(found: Interval | None) -> tuple[float | None, float | None]:
    """Return the ends of an interval, None twice where there is none."""
    return (None, None) if found is None else found


def group_table(task: Task, by: str, found: Compared) -> str:
    """Return the table of a task by one column: a row per group with its intervals, and a sentence on the worst."""
    mine = [each for each in found.groups if each.task == task.name and each.by == by]
    metrics = list(dict.fromkeys(each.metric for each in mine))
    rows = [[f"{task.name} by {by}", "rows", *metrics]]
    for group in dict.fromkeys(each.group for each in mine):
        own = {each.metric: each for each in mine if each.group == group}
        first = next(iter(own.values()))
        rows.append([group, str(first.rows), *[number(own[metric].value) for metric in metrics]])
        shown = [range_text(own[metric].low, own[metric].high) for metric in metrics]
        if any(shown):
            rows.append(["  95 % interval", "", *shown])
    sentences = [told(gap) for gap in found.gaps if (gap.task, gap.by, gap.metric) == (task.name, by, task.primary)]
    return "\n".join([table(rows), *sentences])


def told(gap: Gap) -> str:
    """Return a gap as a sentence."""
    sure = "" if gap.low is None else f", 95 % interval {range_text(gap.low, gap.high)}"
    clear = gap.low is not None and gap.low > 0
    verdict = "" if clear else ". The interval does not exclude a gap of 0" if gap.low is not None else ""
    return f"worst group of {gap.by}: {gap.worst}, {gap.metric} {gap.gap:.4f} from {gap.best}{sure}{verdict}."


def write_groups(folder: Path, found: Compared, how: Mapping[str, Any]) -> None:
    """Write groups.json, groups.csv and gaps.csv.

    Raises:
        RunFailure: a file cannot be written.
    """
    groups, gaps = [asdict(each) for each in found.groups], [asdict(each) for each in found.gaps]
    write_json(folder / "groups.json", {"bootstrap": dict(how), "groups": groups, "gaps": gaps})
    for name, rows in (("groups", groups), ("gaps", gaps)):
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_bytes(folder / f"{name}.csv", text.getvalue().encode())
