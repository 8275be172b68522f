"""Figures, drawn from a run's records."""

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg", force=False)

from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from mtl_cli.files import write_bytes
from mtl_cli.report.shown import COLOURS

SURFACE, INK, MUTED, GRID = "#ffffff", "#1f2328", "#656d76", "#e6e8eb"
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Line styles and markers: lines differ in them too, so that they are told apart without colours."""
MARKS = 8
"""Markers on a line, about."""
WINDOWS = 25
"""Points of a line that shows means over windows of steps."""
MAX_NUMBERS = 30
"""Largest number of classes for which a confusion matrix shows its numbers."""
MAX_NAMES = 60
"""Largest number of classes for which a confusion matrix names each class."""
MAX_LETTERS = 18
"""Number of letters of a class's name that are shown."""
MAX_PAIRS = 8
"""Number of pairs of tasks whose cosines are shown: those with the lowest means."""

MAX_LINES = 24
"""Number of tasks up to which a panel has a line for each."""
TITLE: dict[str, Any] = {"x": 0.02, "ha": "left", "color": INK, "fontsize": 10}
TRIVIAL, BEST = "trivial predictor", "best step"
NOTES = (
    ("conflicts", "share of conflicting pairs of tasks", "Conflicts of gradients, means over windows of steps"),
    ("update_norm", "norm of the update", "Norm of the update, means over windows of steps"),
)
"""Notes of records that have a figure: their name, what the axis is called, and the title."""

Line = tuple[list[float], list[float]]
"""The steps and the values of a line."""


def confusion(path: Path, task: str, split: str, counts: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Write the figure of a confusion matrix [C, C] of counts, rows being the truth.

    Raises:
        RunFailure: the file cannot be written.
    """
    write(confusion_figure(task, split, counts, names), path)


def curves(
    folder: Path, records: Sequence[Mapping[str, Any]], trivial: Mapping[str, float] | None = None
) -> list[Path]:
    """Write figures of losses, weights and whatever else a run's metrics.jsonl holds over steps; return the files.

    `trivial` are the metrics "<task>/<metric>" of constant predictors on validation data.

    Raises:
        RunFailure: a file cannot be written.
    """
    paths = []
    for name, figure in curve_figures(records, trivial).items():
        paths.append(folder / f"{name}.png")
        write(figure, paths[-1])
    return paths


def draw_lr_range(path: Path, line: Line, chosen: float) -> None:
    """Draw the smoothed loss over learning rates, and the rate that is proposed.

    Raises:
        RunFailure: the file cannot be written.
    """
    rates, losses = line
    figure, (axis,) = new_figure(6.5, 3.6)
    fall = max(losses[0] - min(losses), 1e-12)
    axis.plot(rates, losses, color=COLOURS[0], linewidth=1.6)
    axis.axvline(chosen, color=COLOURS[1], linestyle="--", linewidth=1.2)
    note = f"steepest: {chosen:.2g}"
    place = (chosen, losses[0] + 0.6 * fall)
    axis.annotate(note, place, xytext=(5, -2), textcoords="offset points", va="top", fontsize=8, color=INK)
    axis.set_ylim(min(losses) - 0.1 * fall, losses[0] + 0.6 * fall)  # not up to where it explodes
    axis.set_xscale("log")
    axis.set_xlabel("learning rate, rising from step to step", color=MUTED, fontsize=9)
    axis.set_ylabel("weighted sum of losses, smoothed", color=MUTED, fontsize=9)
    axis.grid(color=GRID, linewidth=0.6)
    figure.suptitle("learning-rate range test", fontsize=9, color=MUTED)
    write(figure, path)


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG.

    Raises:
        RunFailure: the file cannot be written.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # letters that the font lacks are drawn as boxes
        figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())


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


def curve_figures(
    records: Sequence[Mapping[str, Any]], trivial: Mapping[str, float] | None = None
) -> dict[str, Figure]:
    """Return, by name, the figures over steps for everything that the records hold; the best step is marked."""
    train = [record for record in records if record["kind"] == "train"]
    evals = [record for record in records if record["kind"] == "eval" and record["split"] == "val"]
    metrics = series(evals, "metrics")
    figures = {}
    losses = series(train, "losses")
    if losses:
        figures["losses"] = losses_figure(losses, by_metric(metrics).get("loss", {}))
    weights = series(train, "weights")
    if any(len(set(values)) > 1 for _, values in weights.values()):
        figures["weights"] = lines_figure(weights, "weight of the task's loss", "Weights of the tasks")
    notes = {name: windowed(line) for name, line in series(train, "notes").items()}
    cosines = lowest({name: line for name, line in notes.items() if name.startswith("cosine/")})
    if cosines:
        figures["cosines"] = lines_figure(
            cosines, "cosine of the tasks' gradients", "Cosines of gradients, means over windows"
        )
    for name, label, title in NOTES:
        if name in notes:
            figures[name] = lines_figure({name: notes[name]}, label, title)
    scores = {metric: lines for metric, lines in by_metric(metrics).items() if metric != "loss"}
    if scores:
        figures["metrics"] = metrics_figure(scores, trivial or {})
    for figure in figures.values():
        mark_best(figure, records)
    return figures


def mark_best(figure: Figure, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw a vertical line at the step whose checkpoint was tested, and add it to the legend's title."""
    best = next((record["step"] for record in reversed(records) if record.get("split") == "test"), None)
    if best is None:
        return
    for axis in figure.axes:
        if axis.get_visible():
            axis.axvline(best, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0, gid=BEST)
    if figure.get_suptitle():
        figure.suptitle(f"{figure.get_suptitle()}; dashed: best step {best}", **TITLE)


def windowed(line: Line, windows: int = WINDOWS) -> Line:
    """Return the means of a line over windows of steps: what single steps tell of gradients is mostly noise."""
    steps, values = line
    size = max(1, -(-len(steps) // windows))
    starts = range(0, len(steps), size)
    parts = [(steps[at : at + size], values[at : at + size]) for at in starts]
    return [math.fsum(s) / len(s) for s, _ in parts], [math.fsum(v) / len(v) for _, v in parts]


def series(records: Sequence[Mapping[str, Any]], key: str) -> dict[str, Line]:
    """Return the lines, by name, of the mapping that records hold under `key`."""
    lines: dict[str, Line] = {}
    for record in records:
        for name, value in record.get(key, {}).items():
            if value is not None:
                steps, values = lines.setdefault(name, ([], []))
                steps.append(record["step"])
                values.append(value)
    return lines


def by_metric(lines: Mapping[str, Line]) -> dict[str, dict[str, Line]]:
    """Return lines named "<task>/<metric>" by metric, then by task."""
    grouped: dict[str, dict[str, Line]] = {}
    for name, line in lines.items():
        task, _, metric = name.partition("/")
        grouped.setdefault(metric, {})[task] = line
    return grouped


def lowest(lines: Mapping[str, Line]) -> dict[str, Line]:
    """Return the lines with the lowest means, named without what they have in common."""
    ordered = sorted(lines.items(), key=lambda item: sum(item[1][1]) / len(item[1][1]))
    return {name.removeprefix("cosine/").replace("/", " · "): line for name, line in ordered[:MAX_PAIRS]}


def few(lines: Mapping[str, Line], others: Mapping[str, Line]) -> tuple[dict[str, Line], dict[str, Line]]:
    """Return lines by task, and `others` of the same tasks; of many the mean, the highest and the lowest at the end."""
    if len(lines) <= MAX_LINES:
        return dict(lines), dict(others)
    last = {task: values[-1] for task, (_, values) in lines.items()}
    top, bottom = max(last, key=last.__getitem__), min(last, key=last.__getitem__)
    mean, named = f"mean of {len(lines)} tasks", {f"highest: {top}": top, f"lowest: {bottom}": bottom}
    chosen = {mean: mean_line(lines), **{name: lines[task] for name, task in named.items()}}
    beside = {mean: mean_line({task: others[task] for task in lines if task in others})} if others else {}
    return chosen, beside | {name: others[task] for name, task in named.items() if task in others}


def mean_line(lines: Mapping[str, Line]) -> Line:
    """Return the mean of lines at each of their steps, over those that have a value there."""
    by_step: dict[float, list[float]] = {}
    for steps, values in lines.values():
        for step, value in zip(steps, values, strict=True):
            by_step.setdefault(step, []).append(value)
    steps = sorted(by_step)
    return steps, [math.fsum(by_step[step]) / len(by_step[step]) for step in steps]


def losses_figure(train: Mapping[str, Line], validation: Mapping[str, Line]) -> Figure:
    """Return training losses (lines) and validation losses (dots) by task."""
    train, validation = few(train, validation)
    figure, (axis,) = new_figure(7.5, panel_height(len(train) + 2))
    handles = plot(axis, train)
    for index, task in enumerate(train):
        if task in validation:
            marker = MARKERS[index % len(MARKERS)]
            axis.plot(*validation[task], marker, color=COLOURS[index % len(COLOURS)], markersize=6, linestyle="none")
            handles[task] = with_marker(handles[task], marker)
    figure.suptitle("Losses: lines in training, markers on validation data", **TITLE)
    values = [value for lines in (train, validation) for _, line in lines.values() for value in line]
    dress(axis, "loss", log=min(values) > 0)
    legend(figure, handles)
    return figure


def lines_figure(lines: Mapping[str, Line], label: str, title: str) -> Figure:
    """Return lines over steps in one panel."""
    lines, _ = few(lines, {})
    figure, (axis,) = new_figure(7.5, panel_height(len(lines)))
    handles = plot(axis, lines, marked=len(lines) > 1)
    figure.suptitle(title, **TITLE)
    dress(axis, label)
    if len(lines) > 1 or label.startswith("cosine"):
        legend(figure, handles)
    return figure


def metrics_figure(scores: Mapping[str, Mapping[str, Line]], trivial: Mapping[str, float]) -> Figure:
    """Return one panel per metric, each with one line per task; of many tasks the mean, the highest and the lowest.

    What constant predictors reach is dotted, in the colour of the task.
    """
    scores = {metric: few(lines, {})[0] for metric, lines in scores.items()}
    tasks = list(dict.fromkeys(task for lines in scores.values() for task in lines))
    columns = min(len(scores), 3)
    rows = math.ceil(len(scores) / columns)
    figure, axes = new_figure(3.2 * columns + 1.5, max(2.8 * rows, panel_height(len(tasks))), rows, columns)
    handles: dict[str, Line2D] = {}
    for (metric, lines), axis in zip(scores.items(), axes, strict=False):
        handles |= plot(axis, lines, tasks, marked=True)
        dotted = False
        for task in lines:
            value = trivial.get(f"{task}/{metric}", math.nan)
            if math.isfinite(value):
                colour = COLOURS[tasks.index(task) % len(COLOURS)]
                axis.axhline(value, color=colour, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1, gid=TRIVIAL)
                dotted = True
        if dotted:
            handles[TRIVIAL] = Line2D([], [], color=MUTED, linewidth=1.2, linestyle=(0, (1, 2)))
        dress(axis, f"validation {escaped(metric)}")
    for axis in axes[len(scores) :]:
        axis.set_visible(False)
    figure.suptitle("Metrics on validation data", **TITLE)
    legend(figure, {task: handles[task] for task in [*tasks, TRIVIAL] if task in handles})
    return figure


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


def dress(axis: Any, label: str, log: bool = False) -> None:  # noqa: ANN401  untyped
    """Label a panel whose horizontal axis is optimizer steps."""
    axis.set_xlabel("optimizer step", color=MUTED, fontsize=9)
    axis.set_ylabel(label, color=MUTED, fontsize=9)
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    if log:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}") if high < 10 * low else NullFormatter())
        if 10 * low <= high < 1000 * low:
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


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
