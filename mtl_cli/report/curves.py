"""Figures of what a run's records hold over steps."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from mtl_cli.report.drawing import (
    GRID,
    MARKERS,
    MUTED,
    TITLE,
    Line,
    escaped,
    legend,
    new_figure,
    panel_height,
    plot,
    with_marker,
    write,
)
from mtl_cli.report.shown import COLOURS

WINDOWS = 25
"""Points of a line that shows means over windows of steps."""
MAX_PAIRS = 8
"""Number of pairs of tasks whose cosines are shown: those with the lowest means."""
MAX_LINES = 24
"""Number of tasks up to which a panel has a line for each."""
TRIVIAL, BEST = "trivial predictor", "best step"
NOTES = (
    ("conflicts", "share of conflicting pairs of tasks", "Conflicts of gradients, means over windows of steps"),
    ("update_norm", "norm of the update", "Norm of the update, means over windows of steps"),
)
"""Notes of records that have a figure: their name, what the axis is called, and the title."""


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
