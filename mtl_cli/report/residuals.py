"""Figures of how far predicted numbers are from the true ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtl_cli.report.drawing import GRID, INK, MUTED, escaped, new_figure, shortened, write
from mtl_cli.report.shown import COLOURS

Array = np.ndarray[Any, Any]
MAX_COLUMNS = 4
"""Columns of numbers that have panels."""
MAX_DOTS = 3000
"""Rows that are drawn as dots, evenly chosen."""
BINS = 40


def residual_figure(title: str, predicted: Array, true: Array, names: Sequence[str]) -> Figure:
    """Return three panels per column: predictions over the truth, residuals over predictions, and their histogram.

    Predictions and the truth are [N, K]; rows without the truth of a column are left out there.
    """
    shown = min(predicted.shape[1], MAX_COLUMNS)
    figure, axes = new_figure(10.5, 3.1 * shown + 0.3, shown, 3)
    for column in range(shown):
        kept = np.isfinite(true[:, column]) & np.isfinite(predicted[:, column])
        said, truth = predicted[kept, column], true[kept, column]
        _panels(axes[3 * column : 3 * column + 3], said, truth, names[column] if predicted.shape[1] > 1 else "")
    figure.suptitle(escaped(title), x=0.02, ha="left", color=INK, fontsize=10)
    return figure


def _panels(axes: Sequence[Any], said: Array, truth: Array, name: str) -> None:
    left, middle, right = axes
    residuals = said - truth
    step = max(1, -(-len(said) // MAX_DOTS))
    dots = {"s": 9, "alpha": 0.45, "linewidths": 0, "color": COLOURS[0]}
    left.scatter(truth[::step], said[::step], **dots)
    middle.scatter(said[::step], residuals[::step], **dots)
    if len(said):
        ends = [min(said.min(), truth.min()), max(said.max(), truth.max())]
        left.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        right.hist(residuals, bins=min(BINS, max(5, int(len(said) ** 0.5))), color=COLOURS[0], alpha=0.75)
        mean, spread = residuals.mean(), residuals.std()
        right.axvline(mean, color=COLOURS[1], linewidth=1.4, linestyle="--")
        right.set_title(f"mean {mean:.3g}, deviation {spread:.3g}", fontsize=9, color=INK, loc="left")
    middle.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    left.set_title(escaped(shortened(name)), fontsize=9, color=INK, loc="left")
    texts = (("true", "predicted"), ("predicted", "predicted − true"), ("predicted − true", "rows"))
    for axis, (across, up) in zip(axes, texts, strict=True):
        axis.set_xlabel(across, color=MUTED, fontsize=9)
        axis.set_ylabel(up, color=MUTED, fontsize=9)
        axis.grid(color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.xaxis.set_major_locator(MaxNLocator(5))


def draw_residuals(path: Path, title: str, predicted: Array, true: Array, names: Sequence[str]) -> None:
    """Write the figure of residuals.

    Raises:
        RunFailure: the file cannot be written.
    """
    write(residual_figure(title, predicted, true, names), path)
