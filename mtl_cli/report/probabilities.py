"""Figures of how good probabilities are: ROC and precision-recall curves, and how often what is said is true."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtl_cli.report.drawing import GRID, INK, MARKERS, MUTED, STYLES, escaped, legend, new_figure, shortened, write
from mtl_cli.report.shown import COLOURS

Array = np.ndarray[Any, Any]
BINS = 10
"""Bins of probabilities from 0 to 1."""
FEW = 5
"""Rows of a bin below which it is not drawn; its rows count in the error."""
MAX_CLASSES = 10
"""Classes that have a line: those with the most rows."""
MAX_POINTS = 500
"""Points of a line."""
CHANCE = (0, (1, 2))
"""Style of the line that stands for chance, or for what is ideal."""


@dataclass(frozen=True)
class Reliability:
    """Of each bin of probabilities that has rows: their mean probability, the share that is true, and their number."""

    said: Array
    true: Array
    rows: Array

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of what is said from what is true, over rows."""
        return float((self.rows * np.abs(self.said - self.true)).sum() / self.rows.sum()) if len(self.rows) else np.nan


@dataclass(frozen=True)
class Judged:
    """Probabilities [N] of one thing, whether it was so [N], and what it is called."""

    name: str
    probabilities: Array
    truth: Array

    @property
    def both(self) -> bool:
        """True where it was so for some rows, and not so for others."""
        return 0 < int(self.truth.sum()) < len(self.truth)


def roc(probabilities: Array, truth: Array) -> tuple[Array, Array]:
    """Return the shares of false and of true rows that are above each threshold, from the highest one down."""
    above, hits = _above(probabilities, truth)
    positives, negatives = truth.sum(), len(truth) - truth.sum()
    return np.append(0.0, (above - hits) / negatives), np.append(0.0, hits / positives)


def precision_recall(probabilities: Array, truth: Array) -> tuple[Array, Array]:
    """Return the share of true rows that is above each threshold, and the share of those above that is true."""
    above, hits = _above(probabilities, truth)
    return hits / truth.sum(), hits / above


def _above(probabilities: Array, truth: Array) -> tuple[Array, Array]:
    """Return the numbers of rows, and of true rows, at or above each value of the probabilities, the highest first."""
    order = np.argsort(-probabilities, kind="stable")
    last = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    return last + 1.0, np.cumsum(truth[order])[last].astype(float)


def reliability(probabilities: Array, truth: Array) -> Reliability:
    """Return what is said and what is true, by bins of equal width."""
    place = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    rows = np.bincount(place, minlength=BINS)
    kept = rows > 0
    said, true = (
        np.bincount(place, weights=each, minlength=BINS)[kept] / rows[kept] for each in (probabilities, truth)
    )
    return Reliability(said, true, rows[kept])


def judged_classes(probabilities: Array, classes: Array, names: Sequence[str]) -> list[Judged]:
    """Return each class against all others, the more frequent first; of two classes the second alone."""
    if probabilities.shape[1] == 2:
        return [Judged(names[1], probabilities[:, 1], classes == 1)]
    counts = np.bincount(classes, minlength=probabilities.shape[1])
    places = sorted(range(len(counts)), key=lambda place: (-counts[place], place))[:MAX_CLASSES]
    return [Judged(names[place], probabilities[:, place], classes == place) for place in sorted(places)]


def judged_labels(probabilities: Array, labels: Array, names: Sequence[str]) -> list[Judged]:
    """Return each label, over the rows that say whether it is there; of many labels the more frequent ones."""
    known = labels >= 0
    counts = (labels == 1).sum(axis=0)
    places = sorted(range(labels.shape[1]), key=lambda place: (-counts[place], place))[:MAX_CLASSES]
    return [
        Judged(names[place], probabilities[known[:, place], place], labels[known[:, place], place] == 1)
        for place in sorted(places)
    ]


def confidence(probabilities: Array, classes: Array) -> Judged:
    """Return the probability of the most probable class, and whether that is the true one."""
    return Judged("top class", probabilities.max(axis=1), probabilities.argmax(axis=1) == classes)


def pooled(name: str, probabilities: Array, labels: Array) -> Judged:
    """Return all labels [N, C] together, over the entries that are known."""
    known = labels >= 0
    return Judged(name, probabilities[known], labels[known] == 1)


def probability_figure(title: str, judged: Sequence[Judged], said: Sequence[Judged]) -> Figure:
    """Return three panels: ROC and precision-recall curves of `judged`, and how true `said` is."""
    figure, (left, middle, right) = new_figure(11.5, 3.7, 1, 3)
    handles: dict[str, Line2D] = {}
    for place, each in enumerate(one for one in judged if one.both):
        style = {
            "color": COLOURS[place % len(COLOURS)],
            "linestyle": STYLES[(place + place // len(COLOURS)) % len(STYLES)],
            "linewidth": 1.6,
        }
        false, hit = roc(each.probabilities, each.truth)
        area = float((np.diff(false) * (hit[1:] + hit[:-1]) / 2).sum())
        (line,) = left.plot(*_thinned(false, hit), **style)
        handles[f"{shortened(each.name)}, AUC {area:.3f}"] = line
        middle.plot(*_thinned(*precision_recall(each.probabilities, each.truth)), **style)
        middle.axhline(each.truth.mean(), color=style["color"], linewidth=0.9, linestyle=CHANCE, zorder=1)
    left.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=CHANCE)
    for place, each in enumerate(said):
        found = reliability(each.probabilities, each.truth)
        colour, marker = COLOURS[(place + 1) % len(COLOURS)], MARKERS[place % len(MARKERS)]
        drawn = found.rows >= FEW
        (line,) = right.plot(
            found.said[drawn], found.true[drawn], color=colour, marker=marker, markersize=5, linewidth=1.4
        )
        handles[f"{shortened(each.name)}, error {found.error:.3f}"] = line
        top = right.inset_axes((0, 0, 1, 0.12), zorder=0)
        top.bar(found.said, found.rows / found.rows.max(), width=0.5 / BINS, color=colour, alpha=0.25)
        top.set_axis_off()
        top.set_xlim(-0.02, 1.02)
    (handles["chance, ideal"],) = right.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=CHANCE)
    _dress(left, "ROC", "share of the others above the threshold", "share of the class above it")
    _dress(
        middle, "Precision and recall", "recall: share of the class above it", "precision: share above it that is true"
    )
    _dress(right, "Reliability", "probability that is said", "share that is true")
    figure.suptitle(escaped(title), x=0.02, ha="left", color=INK, fontsize=10)
    legend(figure, handles)
    return figure


def draw_probabilities(path: Path, title: str, judged: Sequence[Judged], said: Sequence[Judged]) -> None:
    """Write the figure of probabilities.

    Raises:
        RunFailure: the file cannot be written.
    """
    write(probability_figure(title, judged, said), path)


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    if len(x) <= MAX_POINTS:
        return x, y
    kept = np.unique(np.linspace(0, len(x) - 1, MAX_POINTS).astype(int))
    return x[kept], y[kept]


def _dress(axis: Any, title: str, across: str, up: str) -> None:  # noqa: ANN401  untyped
    axis.set_title(title, fontsize=9, color=INK, loc="left")
    axis.set_xlabel(across, color=MUTED, fontsize=9)
    axis.set_ylabel(up, color=MUTED, fontsize=9)
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.04)
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
