"""Heat maps of values between pairs of tasks."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from mtl_cli.report.drawing import GRID, INK, MUTED, SURFACE, escaped, new_figure, shortened

MAX_NUMBERS = 12
"""Number of tasks up to which each cell shows its value."""


def heat_map_figure(
    names: Sequence[str], panels: Mapping[str, Sequence[Sequence[float]]], groups: Sequence[int]
) -> Figure:
    """Return one panel per matrix [T, T], blue below 0 and red above.

    Args:
        names: names of the tasks, group by group.
        panels: the matrices, rows and columns in the order of `names`, by title; NaN where there is no value.
        groups: sizes of the groups, which are framed.
    """
    size = len(names)
    side = max(2.4, 0.62 * size if size <= MAX_NUMBERS else 0.3 * size)  # inches
    figure, axes = new_figure((side + 2.3) * len(panels), side + 1.5, 1, len(panels))
    shown = [escaped(shortened(name)) for name in names]
    for (title, values), axis in zip(panels.items(), axes, strict=True):
        matrix = np.asarray(values, dtype=float)
        largest = scale_of(matrix)
        off = np.where(np.eye(size, dtype=bool), np.nan, matrix)
        image = axis.imshow(np.ma.masked_invalid(off), cmap=colours(), vmin=-largest, vmax=largest)
        axis.set_xticks(range(size), shown, rotation=90)
        axis.set_yticks(range(size), shown)
        axis.set_title(escaped(title), color=INK, fontsize=10, loc="left")
        if size <= MAX_NUMBERS:
            write_numbers(axis, matrix, largest)
        start = 0
        for length in groups:
            frame = Rectangle((start - 0.5, start - 0.5), length, length, fill=False, edgecolor=INK, linewidth=2.0)
            axis.add_patch(frame)
            start += length
        bar = figure.colorbar(image, ax=axis, shrink=0.8)
        bar.ax.tick_params(colors=MUTED, labelsize=7)
        bar.ax.yaxis.set_major_locator(MaxNLocator(5))
        bar.outline.set_visible(False)
    return figure


def colours() -> Colormap:
    """Return the colours; a task with itself, and what was not measured, is grey."""
    return colormaps["RdBu_r"].with_extremes(bad=GRID)


def scale_of(matrix: "np.ndarray") -> float:
    """Return where the colours end: at the largest value between two different tasks."""
    off = matrix[~np.eye(len(matrix), dtype=bool)]
    known = np.abs(off[np.isfinite(off)])
    return float(known.max()) if known.size and known.max() > 0 else 1.0


def write_numbers(axis: object, matrix: "np.ndarray", largest: float) -> None:
    """Write each value into its cell, without the power of ten that the colours' scale has."""
    power = 10.0 ** math.floor(math.log10(largest))
    power = 1.0 if 0.01 <= power <= 1.0 else power
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            colour = SURFACE if abs(value) > 0.6 * largest and row != column else INK
            text = f"{value / power:.2f}"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)  # type: ignore[attr-defined]
    if power != 1.0:
        axis.set_xlabel(f"numbers in cells × {power:g}", color=MUTED, fontsize=8)  # type: ignore[attr-defined]
