"""A sheet of images with the truth and the prediction of every task side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.report.drawing import INK, MUTED, escaped, new_figure, shortened, write
from mtl_cli.report.shown import COLOURS, Array, Shown

SIDE = 1.7
"""Inches of a cell."""


@dataclass(frozen=True)
class Strip:
    """One row of the sheet: the image [H, W, 3] from 0 to 1, its name, and truth and prediction of each task."""

    name: str
    image: Array
    cells: Sequence[tuple[Shown | None, Shown | None]]


def draw_samples(path: Path, tasks: Sequence[str], strips: Sequence[Strip], title: str) -> None:
    """Write a sheet of samples, one per row; the columns are the image and, for each task, truth and prediction.

    Raises:
        RunFailure: the file cannot be written.
    """
    columns = 1 + 2 * len(tasks)
    figure, axes = new_figure(SIDE * columns, (SIDE + 0.25) * len(strips) + 0.4, len(strips), columns)
    heads = ["image", *(f"{shortened(task)}: {what}" for task in tasks for what in ("truth", "prediction"))]
    for row, strip in enumerate(strips):
        shown = [Shown(strip.name, strip.image), *(each for pair in strip.cells for each in pair)]
        for column, each in enumerate(shown):
            axis = axes[row * columns + column]
            _draw(axis, each, strip.image)
            if row == 0:
                axis.set_title(escaped(heads[column]), fontsize=8, color=INK)
    figure.suptitle(escaped(title), fontsize=9, color=MUTED)
    write(figure, path)


def _draw(axis: Any, shown: Shown | None, image: Array) -> None:  # noqa: ANN401  untyped
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if shown is None or (shown.pixels is None and shown.boxes is None and shown.points is None):
        text, colour = ("no label", MUTED) if shown is None else (shown.text, INK)
        axis.text(0.5, 0.5, escaped(text), ha="center", va="center", fontsize=9, color=colour, transform=axis.transAxes)
        return
    axis.imshow(image if shown.pixels is None else shown.pixels, interpolation="nearest")
    axis.set_xlabel(escaped(shortened(shown.text)), fontsize=7, color=MUTED)
    axis.autoscale(False)  # boxes that leave the image do not move it
    for left, top, right, bottom, kind in [] if shown.boxes is None else shown.boxes.tolist():
        colour = COLOURS[int(kind) % len(COLOURS)]
        x, y = [left, right, right, left, left], [top, top, bottom, bottom, top]
        axis.plot([v - 0.5 for v in x], [v - 0.5 for v in y], color=colour, linewidth=0.8)
    for across, down, number in [] if shown.points is None else shown.points.tolist():
        colour = COLOURS[int(number) % len(COLOURS)]
        axis.plot([across - 0.5], [down - 0.5], "o", color=colour, markeredgecolor="white", markersize=4)
