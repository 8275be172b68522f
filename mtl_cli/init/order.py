"""Rows in the order of time, and series of several things: what division at random hides."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from mtl_cli.init.guess import MIN_ROWS
from mtl_cli.init.probe import Cells

STEADY = 0.98
"""Share of steps from row to row in which time goes on, from which on rows are in the order of time."""
GRID, MOST_SERIES = 0.8, 0.2
"""Share of the pairs of a thing and a time that have a row, and things per row, of a table of series."""
TIMES = re.compile(
    r"(.*_)?(t|ts|time|timestamp|datetime|date|epoch|unix|step|tick|year|yr|week|day|hour|minute|min|seconds?|sec|ms)",
    re.IGNORECASE,
)
"""Names of columns of numbers that are times."""


def times_among(columns: Mapping[str, Cells], dates: Mapping[str, Cells]) -> dict[str, np.ndarray]:
    """Return the columns of dates, and of numbers that are named as times."""
    named = {name: cells for name, cells in columns.items() if TIMES.fullmatch(name)} | {**dates}
    return {name: cells.numbers for name, cells in named.items() if cells.numbers is not None}


def in_order(times: Mapping[str, np.ndarray], columns: Mapping[str, Cells]) -> Iterator[str]:
    """Yield that rows follow each other in time, and how to divide them by it; a table has one such note."""
    for name, time in times.items():
        if steady(time):
            yield f"rows are in the order of {name}. {newest(name)}"
            return
    for name, time in times.items():
        for thing, cells in columns.items():
            if thing not in times and is_series(cells.codes, time):
                yield f"each {thing} has one row per {name}: series. {newest(name)}"
                return


def newest(name: str) -> str:
    """Return how to divide rows by time."""
    return (
        f"To train on older rows and test on the newest ones, write time_column: {name} into the file of the dataset, "
        "without stratify"
    )


def steady(time: np.ndarray) -> bool:
    """Return whether times [n] hardly ever go back, or hardly ever on, from row to row."""
    steps = np.diff(time[~np.isnan(time)])
    if len(steps) < MIN_ROWS or not steps.any():
        return False
    return bool(max((steps >= 0).mean(), (steps <= 0).mean()) >= STEADY)


def is_series(things: np.ndarray, time: np.ndarray) -> bool:
    """Return whether nearly every thing, a code [n], has one row at nearly every time [n]."""
    both = (things >= 0) & ~np.isnan(time)
    rows = int(both.sum())
    pairs = np.stack([things[both], np.unique(time[both], return_inverse=True)[1]])
    counts = [len(np.unique(each)) for each in pairs]
    if rows < MIN_ROWS or min(counts) < 2 or counts[0] > MOST_SERIES * rows or counts[1] == rows:
        return False
    return len(np.unique(pairs, axis=1).T) == rows >= GRID * counts[0] * counts[1]
