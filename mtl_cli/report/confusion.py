"""The figure of a confusion matrix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from mtl_cli.report.drawing import INK, MUTED, SURFACE, escaped, new_figure, shortened, write

MAX_NUMBERS = 30
"""Largest number of classes for which a confusion matrix shows its numbers."""
MAX_NAMES = 60
"""Largest number of classes for which a confusion matrix names each class."""


def confusion(path: Path, task: str, split: str, counts: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Write the figure of a confusion matrix [C, C] of counts, rows being the truth.

    Raises:
        RunFailure: the file cannot be written.
    """
    write(confusion_figure(task, split, counts, names), path)


def confusion_figure(task: str, split: str, counts: Sequence[Sequence[int]], names: Sequence[str]) -> Figure:
    """Return the figure of a confusion matrix; the colour is the root of the share of the row: rare mistakes show."""
    matrix = np.asarray(counts, dtype=float)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    classes = len(matrix)
    every = 1 if classes <= MAX_NAMES else -(-classes // (MAX_NAMES // 2))
    ticks = list(range(0, classes, every))
    shown = [escaped(shortened(names[index])) for index in ticks]
    letters = max(map(len, shown))
    title = (
        f"{escaped(task)}, {split}: accuracy {np.trace(matrix) / max(matrix.sum(), 1):.4f}, {int(matrix.sum())} labels"
    )

    side = max(2.2, classes * (0.42 if classes <= 12 else 0.32 if classes <= MAX_NUMBERS else 0.16))  # inches
    margin = 0.08 * letters
    width = max(side + margin + 1.6, 0.085 * len(title) + 0.3)
    figure, (axis,) = new_figure(width, side + (margin if letters > 2 else 0.1) + 1.0)
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    image = axis.imshow(shares, cmap="Blues", norm=norm)
    axis.set_xticks(ticks, shown, rotation=90 if letters > 2 else 0)
    axis.set_yticks(ticks, shown)
    axis.set_xlabel("predicted", color=MUTED, fontsize=9)
    axis.set_ylabel("true", color=MUTED, fontsize=9)
    figure.suptitle(title, x=0.02, ha="left", color=INK, fontsize=10)
    if classes <= MAX_NUMBERS:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = SURFACE if norm(shares[row, column]) > 0.6 else INK
            text, size = f"{int(matrix[row, column])}", 7 if classes <= 12 else 6
            axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=size, in_layout=False)
    bar = figure.colorbar(image, ax=axis, shrink=0.8, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    bar.set_label("share of the true class", color=MUTED, fontsize=8)
    bar.ax.tick_params(colors=MUTED, labelsize=7)
    bar.outline.set_visible(False)
    return figure
