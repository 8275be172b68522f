"""Figures of explanations: which inputs each task needs, words in colours, and pixels in colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import TwoSlopeNorm

from mtl_cli.report.drawing import INK, MUTED, SURFACE, escaped, new_figure, shortened, write
from mtl_cli.report.shown import Array

MOST_INPUTS, MOST_TASKS = 40, 30
LINE_WIDTH = 96
"""Letters of a line of words."""
AGAINST, FOR = (0.86, 0.36, 0.20), (0.16, 0.47, 0.84)
"""Colours of what speaks against and for an output; they differ in brightness too (marked by a line below a word)."""


@dataclass(frozen=True)
class Words:
    """A text in pieces with what each says for the prediction, and a heading."""

    heading: str
    pieces: Sequence[str]
    values: Sequence[float]


def draw_importances(path: Path, table: Mapping[str, Mapping[str, float]], serves: Mapping[str, Sequence[str]]) -> None:
    """Draw inputs (rows) by tasks (columns), each task's largest being 1; a dot marks a task that an input serves.

    Raises:
        RunFailure: the file cannot be written.
    """
    tasks = list(table)[:MOST_TASKS]
    scaled = {task: _scaled(table[task]) for task in tasks}
    inputs = sorted(next(iter(table.values())), key=lambda name: -max(scaled[task][name] for task in tasks))
    left_out, inputs = len(inputs) - MOST_INPUTS, inputs[:MOST_INPUTS]
    matrix = np.array([[scaled[task][name] for task in tasks] for name in inputs])
    longest = max(map(len, inputs))
    width, height = 2.3 + 0.95 * len(tasks) + 0.06 * min(longest, 30), 1.5 + 0.27 * len(inputs)
    figure, (axis,) = new_figure(max(width, 5.2), height)
    axis.imshow(matrix, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(tasks)), [escaped(shortened(task)) for task in tasks], rotation=30, ha="right")
    axis.set_yticks(range(len(inputs)), [escaped(shortened(name)) for name in inputs])
    for row, name in enumerate(inputs):
        for column, task in enumerate(tasks):
            text = f"{table[task][name]:.3g}" + (" •" if task in serves.get(name, ()) else "")
            colour = SURFACE if matrix[row, column] > 0.6 else INK
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    more = f"; {left_out} more inputs in the table" if left_out > 0 else ""
    title = f"how much worse the metric is without the input (• serves the task{more})"
    figure.suptitle(title, fontsize=8, color=MUTED)
    write(figure, path)


def _scaled(column: Mapping[str, float]) -> dict[str, float]:
    most = max([0.0, *column.values()])
    return {name: max(0.0, value) / most if most > 0 else 0.0 for name, value in column.items()}


def draw_words(path: Path, texts: Sequence[Words], title: str) -> None:
    """Draw texts whose pieces have colours: blue speaks for what is said, orange and underlined against it.

    Raises:
        RunFailure: the file cannot be written.
    """
    lines = [(text, _lines(text)) for text in texts]
    rows = sum(len(each) + 1.6 for _, each in lines)
    figure, (axis,) = new_figure(7.4, 0.26 * rows + 0.7)
    axis.set_axis_off()
    axis.set_xlim(0, LINE_WIDTH)
    axis.set_ylim(rows, 0)
    at = 0.5
    for text, each in lines:
        axis.text(0, at, escaped(text.heading), fontsize=8, color=MUTED, va="center", family="monospace")
        most = max([abs(value) for value in text.values] or [0.0]) or 1.0
        for number, line in enumerate(each, start=1):
            place = 0.0
            for piece, value in line:
                share = value / most
                colour = FOR if share > 0 else AGAINST
                box = {"facecolor": (*colour, 0.75 * abs(share)), "edgecolor": "none", "pad": 1.5}
                axis.text(
                    place, at + number, escaped(piece), fontsize=8, color=INK, va="center", family="monospace", bbox=box
                )
                if share < -0.15:
                    axis.plot([place, place + len(piece)], [at + number + 0.42] * 2, color=AGAINST, linewidth=1.0)
                place += len(piece) + 1
        at += len(each) + 1.6
    figure.suptitle(escaped(title), fontsize=9, color=MUTED)
    write(figure, path)


def _lines(text: Words) -> list[list[tuple[str, float]]]:
    lines: list[list[tuple[str, float]]] = [[]]
    used = 0
    for piece, value in zip(text.pieces, text.values, strict=True):
        if used + len(piece) + 1 > LINE_WIDTH and lines[-1]:
            lines.append([])
            used = 0
        lines[-1].append((piece[:LINE_WIDTH], value))
        used += len(piece) + 1
    return lines[:6]


def draw_pixels(path: Path, rows: Sequence[tuple[str, Array, Mapping[str, Array]]], title: str) -> None:
    """Draw images beside what each pixel says for each task: blue for what is said, red against it.

    `rows` are a name, the image [H, W, 3] from 0 to 1, and attributions [H, W] by task.

    Raises:
        RunFailure: the file cannot be written.
    """
    tasks = list(rows[0][2])
    columns = 1 + len(tasks)
    figure, axes = new_figure(1.8 * columns, 1.95 * len(rows) + 0.5, len(rows), columns)
    for number, (name, image, found) in enumerate(rows):
        cells = axes[number * columns : (number + 1) * columns]
        for axis in cells:
            axis.set_xticks([])
            axis.set_yticks([])
        cells[0].imshow(image, interpolation="nearest")
        cells[0].set_xlabel(escaped(name), fontsize=7, color=MUTED)
        for axis, task in zip(cells[1:], tasks, strict=True):
            most = float(np.quantile(np.abs(found[task]), 0.995)) or 1e-12
            norm = TwoSlopeNorm(0.0, -most, most)
            axis.imshow(found[task], cmap="RdBu", norm=norm, interpolation="nearest")
            if number == 0:
                axis.set_title(escaped(shortened(task)), fontsize=8, color=INK)
    figure.suptitle(escaped(title), fontsize=9, color=MUTED)
    write(figure, path)
