"""What all figures have in common: their colours, panels, lines, legends and texts, and how they are written."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg", force=False)

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtl_cli.files import write_bytes
from mtl_cli.report.shown import COLOURS

SURFACE, INK, MUTED, GRID = "#ffffff", "#1f2328", "#656d76", "#e6e8eb"
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Line styles and markers: lines differ in them too, so that they are told apart without colours."""
MARKS = 8
"""Markers on a line, about."""
MAX_LETTERS = 18
"""Number of letters of a class's name that are shown."""
TITLE: dict[str, Any] = {"x": 0.02, "ha": "left", "color": INK, "fontsize": 10}
Line = tuple[list[float], list[float]]
"""The steps and the values of a line."""


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG.

    Raises:
        RunFailure: the file cannot be written.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # letters that the font lacks are drawn as boxes
        FigureCanvasAgg(figure).print_png(buffer)  # savefig draws twice, since it looks for the size first
    write_bytes(path, buffer.getvalue())


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Any]]:
    """Return a figure and its panels row by row; sizes are in inches."""
    figure = Figure(figsize=(width, height), dpi=120, facecolor=SURFACE, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes:
        axis.tick_params(which="both", colors=MUTED, labelsize=8)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(GRID)
    return figure, list(axes)


def panel_height(entries: int) -> float:
    """Return the height in inches of a panel whose legend has so many entries."""
    return max(3.4, 0.19 * entries + 0.6)


def plot(  # the axis is untyped
    axis: Any,  # noqa: ANN401
    lines: Mapping[str, Line],
    order: Sequence[str] = (),
    marked: bool = False,
) -> dict[str, Line2D]:
    """Draw lines, coloured by their place in `order`; return them by name. A line of one or two points is `marked`."""
    places = {name: place for place, name in enumerate(order or lines)}
    drawn = {}
    for name, (steps, values) in lines.items():
        place = places[name]
        (drawn[name],) = axis.plot(
            steps,
            values,
            color=COLOURS[place % len(COLOURS)],
            linestyle=STYLES[(place + place // len(COLOURS)) % len(STYLES)],
            linewidth=1.6,
            marker=MARKERS[place % len(MARKERS)] if marked or len(steps) < 3 else "",
            markersize=4.5,
            markevery=max(1, len(steps) // MARKS),
        )
    return drawn


def with_marker(line: Line2D, marker: str) -> Line2D:
    """Return the entry of a legend for a line and for markers of its colour."""
    return Line2D([], [], color=line.get_color(), linestyle=line.get_linestyle(), linewidth=1.6, marker=marker)


def legend(figure: Figure, handles: Mapping[str, Line2D]) -> None:
    """Put a legend to the right of the panels."""
    names = [f" {escaped(name)}" for name in handles]  # matplotlib leaves out names that begin with an underscore
    figure.legend(handles.values(), names, loc="outside right upper", fontsize=8, frameon=False, labelcolor=INK)


def shortened(name: str) -> str:
    """Return a name with at most MAX_LETTERS letters."""
    return name if len(name) <= MAX_LETTERS else name[: MAX_LETTERS - 1] + "…"


def escaped(name: str) -> str:
    r"""Return a name in which matplotlib does not see a formula: "$5 to $9" as "\$5 to \$9"."""
    return name.replace("$", r"\$")
