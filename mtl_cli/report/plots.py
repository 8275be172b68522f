"""Figures, drawn from a run's records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg", force=False)

from matplotlib.figure import Figure  # noqa: E402  after the backend is chosen

SURFACE, INK, MUTED, GRID = "#ffffff", "#1f2328", "#656d76", "#e6e8eb"
COLOURS = ("#2a78d6", "#e8710a", "#1b998b", "#c2255c", "#7048e8", "#a07d00", "#495057", "#0b7285")
MAX_NUMBERS = 12
"""Classes up to which a confusion matrix shows its numbers."""


def new_figure(width: float, height: float, panels: int = 1) -> tuple[Figure, list[Any]]:
    """Return a figure, sizes in inches, with panels side by side."""
    figure = Figure(figsize=(width, height), dpi=120, facecolor=SURFACE, layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for axis in axes:
        axis.tick_params(colors=MUTED, labelsize=8)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(GRID)
    return figure, list(axes)


def confusion(path: Path, task: str, split: str, counts: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Draw a confusion matrix [C, C] of counts, rows being the truth; colour is the share of the row."""
    matrix = np.asarray(counts, dtype=float)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    classes = len(matrix)
    size = min(max(3.6, 0.34 * classes + 1.6), 20.0)
    figure, (axis,) = new_figure(size + 0.8, size)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(classes) if classes <= 60 else range(0, classes, classes // 30)
    axis.set_xticks(list(ticks), [names[i] for i in ticks], rotation=90 if max(map(len, names)) > 2 else 0)
    axis.set_yticks(list(ticks), [names[i] for i in ticks])
    axis.set_xlabel("predicted", color=MUTED, fontsize=9)
    axis.set_ylabel("true", color=MUTED, fontsize=9)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    axis.set_title(f"{task}, {split}: {accuracy:.4f} of {int(matrix.sum())} right", color=INK, fontsize=10, loc="left")
    if classes <= MAX_NUMBERS:
        for row in range(classes):
            for column in range(classes):
                if matrix[row, column]:
                    colour = SURFACE if shares[row, column] > 0.5 else INK
                    text = f"{int(matrix[row, column])}"
                    axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    bar = figure.colorbar(image, ax=axis, shrink=0.8)
    bar.set_label("share of the true class", color=MUTED, fontsize=8)
    bar.ax.tick_params(colors=MUTED, labelsize=7)
    figure.savefig(path)


def curves(folder: Path, records: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Draw losses, weights, and what else a run's metrics.jsonl holds over steps; return the files."""
    train = [record for record in records if record["kind"] == "train"]
    evals = [record for record in records if record["kind"] == "eval" and record["split"] == "val"]
    paths = []
    if train:
        paths.append(draw_losses(folder / "losses.png", train, evals))
    weights = series(train, "weights")
    if any(len(set(values)) > 1 for _, values in weights.values()):
        paths.append(draw_series(folder / "weights.png", weights, "weight of the task's loss"))
    notes = series(train, "notes")
    cosines = {name: line for name, line in notes.items() if name.startswith("cosine/")}
    if cosines:
        paths.append(draw_series(folder / "cosines.png", shortened(cosines), "cosine of the tasks' gradients"))
    for name in ("conflicts", "update_norm"):
        if name in notes:
            label = {"conflicts": "share of conflicting pairs of tasks", "update_norm": "norm of the update"}[name]
            paths.append(draw_series(folder / f"{name}.png", {name: notes[name]}, label))
    if evals:
        paths.append(draw_metrics(folder / "metrics.png", evals))
    return paths


Line = tuple[list[float], list[float]]


def series(records: Sequence[Mapping[str, Any]], key: str) -> dict[str, Line]:
    """Return steps and values by name of a mapping that records hold under `key`."""
    lines: dict[str, Line] = {}
    for record in records:
        for name, value in record.get(key, {}).items():
            if value is not None:
                steps, values = lines.setdefault(name, ([], []))
                steps.append(record["step"])
                values.append(value)
    return lines


def shortened(lines: Mapping[str, Line], most: int = 8) -> dict[str, Line]:
    """Return at most `most` lines, those with the lowest mean, named without what they have in common."""
    ordered = sorted(lines.items(), key=lambda item: sum(item[1][1]) / len(item[1][1]))
    return {name.removeprefix("cosine/").replace("/", " · "): line for name, line in ordered[:most]}


def draw_losses(path: Path, train: Sequence[Mapping[str, Any]], evals: Sequence[Mapping[str, Any]]) -> Path:
    """Draw training losses (lines) and validation losses (dots) by task."""
    lines = series(train, "losses")
    dots = {
        name.removesuffix("/loss"): line for name, line in series(evals, "metrics").items() if name.endswith("/loss")
    }
    figure, (axis,) = new_figure(7, 3.6)
    for index, (task, (steps, values)) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        axis.plot(steps, values, color=colour, linewidth=1.6, label=f"{task}, training")
        if task in dots:
            axis.plot(*dots[task], "o", color=colour, markersize=5, label=f"{task}, validation")
    finish(figure, axis, path, "loss", log=all(value > 0 for _, values in lines.values() for value in values))
    return path


def draw_metrics(path: Path, evals: Sequence[Mapping[str, Any]]) -> Path:
    """Draw each task's metrics on validation data."""
    lines = {name: line for name, line in series(evals, "metrics").items() if not name.endswith("/loss")}
    return draw_series(path, dict(list(lines.items())[: len(COLOURS)]), "validation metric", marker="o")


def draw_series(path: Path, lines: Mapping[str, Line], label: str, marker: str = "") -> Path:
    """Draw lines over steps in one panel."""
    figure, (axis,) = new_figure(7, 3.4)
    for index, (name, (steps, values)) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        axis.plot(steps, values, color=colour, linewidth=1.6, marker=marker, markersize=4, label=name)
    finish(figure, axis, path, label)
    return path


def finish(figure: Figure, axis: Any, path: Path, label: str, log: bool = False) -> None:  # noqa: ANN401  untyped
    """Label a panel, add its legend and save the figure."""
    axis.set_xlabel("optimizer step", color=MUTED, fontsize=9)
    axis.set_ylabel(label, color=MUTED, fontsize=9)
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    if log:
        axis.set_yscale("log")
    axis.legend(fontsize=8, frameon=False, labelcolor=INK)
    figure.savefig(path)
