"""The figure of a Pareto front: what each run reaches for two tasks at a time."""

import itertools
import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtl_cli.report.drawing import GRID, INK, MUTED, escaped, legend, new_figure
from mtl_cli.report.shown import COLOURS

MAX_TASKS = 4
"""Number of tasks whose pairs are shown."""


def pareto_figure(
    labels: Mapping[str, str], points: Mapping[int, Sequence[float]], front: Sequence[int], winner: int
) -> Figure:
    """Return one panel per pair of the first tasks.

    Args:
        labels: what each axis is called, by task.
        points: the values of the tasks by the number of the trial.
        front: numbers of the trials that are on the front of all tasks.
        winner: number of the trial that was chosen.
    """
    pairs = list(itertools.combinations(range(min(len(labels), MAX_TASKS)), 2))
    columns = min(len(pairs), 3)
    rows = math.ceil(len(pairs) / columns)
    figure, axes = new_figure(4.2 * columns + 1.8, 3.6 * rows, rows, columns)
    names = [escaped(text) for text in labels.values()]
    handles = {}
    for (first, second), axis in zip(pairs, axes, strict=False):
        groups = {
            "beaten by another": ([at for at in points if at not in front], "x", MUTED, 5),
            "Pareto front": ([at for at in front if at in points], "o", COLOURS[0], 6),
            "winner": ([at for at in (winner,) if at in points], "*", COLOURS[1], 14),
        }
        for name, (numbers, marker, colour, size) in groups.items():
            if numbers:
                places = sorted((points[at][first], points[at][second]) for at in numbers)
                line = "-" if name == "Pareto front" and len(labels) == 2 else "none"
                (handles[name],) = axis.plot(
                    *zip(*places, strict=True), marker, linestyle=line, linewidth=1.0, color=colour, markersize=size
                )
        axis.set_xlabel(names[first], color=MUTED, fontsize=9)
        axis.set_ylabel(names[second], color=MUTED, fontsize=9)
        axis.grid(color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.yaxis.set_major_locator(MaxNLocator(6))
    for axis in axes[len(pairs) :]:
        axis.set_visible(False)
    figure.suptitle("What the trials reach on validation data", x=0.02, ha="left", color=INK, fontsize=10)
    legend(figure, handles)
    return figure
