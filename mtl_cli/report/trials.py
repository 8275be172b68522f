"""The figure of a search: what its trials have reached, in their order and by the values that were searched."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from mtl_cli.report.drawing import GRID, INK, MUTED, TITLE, escaped, legend, new_figure
from mtl_cli.report.shown import COLOURS
from mtl_cli.report.tables import shortened

MAX_KEYS = 5
"""Searched keys that have a panel."""
WIDE = 30.0
"""Ratio of the largest to the smallest value from which an axis is logarithmic, if most values are small."""


@dataclass(frozen=True)
class ShownTrial:
    """A trial with a score, higher is better: that of its end, or the last one before it was stopped."""

    number: int
    values: Mapping[str, str]
    score: float
    complete: bool


def trials_figure(trials: Sequence[ShownTrial], winner: int, label: str) -> Figure:
    """Return a panel for the order of the trials and one for each searched key; `label` names the score."""
    keys = list(dict.fromkeys(key for each in trials for key in each.values))[:MAX_KEYS]
    columns = min(1 + len(keys), 3)
    rows = math.ceil((1 + len(keys)) / columns)
    figure, axes = new_figure(3.4 * columns + 1.7, 3.0 * rows, rows, columns)
    handles = _points(axes[0], {each.number: float(each.number) for each in trials}, trials, winner)
    best = list(itertools.accumulate((each.score if each.complete else -math.inf for each in trials), max))
    known = [(each.number, score) for each, score in zip(trials, best, strict=True) if score > -math.inf]
    (line,) = axes[0].step(*zip(*known, strict=True), where="post", color=INK, linewidth=1, zorder=0)
    axes[0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for key, axis in zip(keys, axes[1:], strict=False):
        _points(axis, _places(axis, {each.number: each.values[key] for each in trials}), trials, winner)
    for name, axis in zip(("trial", *keys), axes, strict=False):
        axis.set_xlabel(escaped(shortened(name, 40)), color=MUTED, fontsize=9)
        axis.grid(color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
    for axis in axes[1 + len(keys) :]:
        axis.set_visible(False)
    axes[0].set_ylabel(escaped(label), color=MUTED, fontsize=9)
    figure.suptitle("What the trials reach on validation data", **TITLE)
    legend(figure, {**handles, "best so far": line})
    return figure


def _points(
    axis: Any,  # noqa: ANN401  untyped
    places: Mapping[int, float],
    trials: Sequence[ShownTrial],
    winner: int,
) -> dict[str, Any]:
    """Draw the trials at some places; return what a legend shows of them."""
    groups = {
        "stopped early": ([each for each in trials if not each.complete], "x", MUTED, 5),
        "complete": ([each for each in trials if each.complete and each.number != winner], "o", COLOURS[0], 5),
        "winner": ([each for each in trials if each.number == winner], "*", COLOURS[1], 13),
    }
    return {
        name: axis.plot(
            [places[each.number] for each in own], [each.score for each in own],
            marker, linestyle="none", color=colour, markersize=size,
        )[0]
        for name, (own, marker, colour, size) in groups.items()
        if own
    }  # fmt: skip


def _places(axis: Any, texts: Mapping[int, str]) -> dict[int, float]:  # noqa: ANN401  untyped
    """Return where values stand on an axis: numbers at their place, others side by side."""
    try:
        numbers = {at: float(text) for at, text in texts.items()}
    except ValueError:
        numbers = {}
    if not numbers or not all(map(math.isfinite, numbers.values())):
        names = list(dict.fromkeys(texts.values()))
        axis.set_xticks(range(len(names)), [escaped(shortened(name, 14)) for name in names], fontsize=8)
        axis.set_xlim(-0.5, len(names) - 0.5)
        return {at: float(names.index(text)) for at, text in texts.items()}
    low, middle, high = (pick(numbers.values()) for pick in (min, statistics.median, max))
    if low > 0 and high > WIDE * low and high > 5 * middle:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.xaxis.set_major_locator(MaxNLocator(5))
    return numbers
