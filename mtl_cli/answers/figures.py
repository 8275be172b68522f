"""The figures of a report, as SVG and PDF."""

import contextlib
import io
import itertools
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mtl_cli.answers.comparison import BETTER, GAIN, WORSE, Answer, Verdict
from mtl_cli.answers.curves import Line, line_of, mean_line, names_of
from mtl_cli.answers.searches import FRONT, TRIALS, Search
from mtl_cli.answers.settings import Setting, primaries
from mtl_cli.files import make_folder, write_bytes
from mtl_cli.report.curves import windowed
from mtl_cli.report.drawing import GRID, INK, MARKERS, MUTED, STYLES, escaped, legend, new_figure
from mtl_cli.report.shown import COLOURS
from mtl_cli.report.tables import shortened

PANELS = 6
"""Panels of a figure at most."""
SETTINGS = 24
"""Settings of a figure at most."""
THIN = 30
"""Runs up to which each is drawn as a thin line behind the mean of its setting."""
NAME = 44
"""Letters of a setting's name in a figure."""


def figures_of(verdict: Verdict, searches: Sequence[Search] = ()) -> dict[str, Figure]:
    """Return the figures by name; those that have nothing to show are left out.

    Of several searches the first is drawn. Its Pareto front stands in the place of that of the settings.
    """
    settings = [answer.setting for answer in verdict.answers][:SETTINGS]
    searched = searches[0].figures() if searches else {}
    made = {
        "trials": searched.get(TRIALS),
        "gains": gains_figure(verdict.answers[:SETTINGS]),
        "metrics": curves_figure(settings, "metrics", primaries(settings), "validation"),
        "losses": curves_figure(settings, "losses", names_of(settings, "losses"), "training loss of"),
        "weights": curves_figure(settings, "weights", _moving(settings), "weight of"),
        "conflicts": curves_figure(settings, "notes", _conflicts(settings), "", smooth=True),
        "pareto": searched.get(FRONT) or pareto_figure(verdict, settings),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element, whose texts are texts; the same figure gives the same bytes."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), _no_missing_letters():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def write_figures(figures: Mapping[str, Figure], folder: Path) -> dict[str, str]:
    """Write every figure as SVG and PDF into a folder; return the SVG elements by name.

    Raises:
        RunFailure: a file cannot be written.
    """
    elements = {}
    if figures:
        make_folder(folder)
    for name, figure in figures.items():
        elements[name] = svg(figure, name)
        figure.set_layout_engine("none")  # places stay as they are, which saves time
        write_bytes(folder / f"{name}.svg", f'<?xml version="1.0" encoding="utf-8"?>\n{elements[name]}'.encode())
        buffer = io.BytesIO()
        with _no_missing_letters():
            figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})
        write_bytes(folder / f"{name}.pdf", buffer.getvalue())
    return elements


def gains_figure(answers: Sequence[Answer]) -> Figure | None:
    """Return Δm of every setting with its interval."""
    shown = [answer for answer in answers if answer.gain and answer.gain.difference]
    if not shown:
        return None
    figure, (axis,) = new_figure(7.5, 1.2 + 0.34 * len(shown))
    for place, answer in enumerate(reversed(shown)):
        assert answer.gain is not None
        assert answer.gain.difference is not None
        found, word = answer.gain.difference, answer.gain.word
        colour = {BETTER: COLOURS[2], WORSE: COLOURS[3]}.get(word, MUTED)
        low, high = found.interval()
        if not math.isnan(low):
            axis.plot([low, high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
        marker = {BETTER: ">", WORSE: "<"}.get(word, "o")
        axis.plot([found.mean], [place], marker, color=colour, markersize=7)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_yticks(range(len(shown)), [escaped(shortened(a.setting.name, NAME)) for a in reversed(shown)])
    axis.set_ylim(-0.6, len(shown) - 0.4)
    axis.set_xlabel(f"{GAIN} over the baseline in percent, with 95 % interval", color=MUTED, fontsize=9)
    axis.grid(axis="x", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    return figure


def curves_figure(
    settings: Sequence[Setting], what: str, names: Sequence[str], label: str, smooth: bool = False
) -> Figure | None:
    """Return one panel per value with a line per setting: the mean over its runs, which are thin lines behind it."""
    names = names[:PANELS]
    if not names:
        return None
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    figure, axes = new_figure(3.3 * columns + 2.2, max(2.7 * rows, 0.19 * len(settings) + 1.2), rows, columns)
    handles: dict[str, Line2D] = {}
    few = sum(len(setting.runs) for setting in settings) <= THIN
    for name, axis in zip(names, axes, strict=False):
        for number, setting in enumerate(settings):
            lines = [line for run in setting.runs.values() if (line := line_of(run, what, name))[0]]
            lines = [windowed(line) for line in lines] if smooth else lines
            _draw(axis, handles, setting.name, number, lines, few)
        if what == "metrics":
            _trivial(axis, handles, settings, name)
        _dress(axis, f"{label} {name}".strip())
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    if not handles:
        return None
    legend(figure, {shortened(name, NAME): line for name, line in handles.items()})
    return figure


def pareto_figure(verdict: Verdict, settings: Sequence[Setting]) -> Figure | None:
    """Return what settings reach for two tasks at a time; the front joins those that no other one beats in both."""
    names = [name for name in primaries(settings) if all(setting.measured(name, verdict.split) for setting in settings)]
    pairs = list(itertools.combinations(names, 2))[:3]
    if not pairs or len(settings) < 2:
        return None
    figure, axes = new_figure(3.8 * len(pairs) + 2.4, max(3.5, 0.19 * len(settings) + 1.2), 1, len(pairs))
    handles: dict[str, Line2D] = {}
    for pair, axis in zip(pairs, axes, strict=True):
        lower = [name in settings[0].first.lower for name in pair]
        points = {}
        for number, setting in enumerate(settings):
            values = [list(setting.measured(name, verdict.split).values()) for name in pair]
            points[setting.name] = tuple(sum(each) / len(each) for each in values)
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            if len(values[0]) == len(values[1]) <= THIN:
                axis.plot(*values, marker, linestyle="none", color=colour, markersize=3, alpha=0.35)
            (handles[setting.name],) = axis.plot(
                *([value] for value in points[setting.name]), marker, linestyle="none", color=colour, markersize=8
            )
        front = sorted(points[name] for name in undominated(points, lower))
        (handles[" front"],) = axis.plot(*zip(*front, strict=True), "-", color=MUTED, linewidth=1, zorder=0)
        _dress(axis, pair[1] + (" (lower is better)" if lower[1] else ""))
        axis.set_xlabel(escaped(pair[0]) + (" (lower is better)" if lower[0] else ""), color=MUTED, fontsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(5))
    legend(figure, {shortened(name, NAME): line for name, line in handles.items()})
    return figure


def undominated(points: Mapping[str, Sequence[float]], lower: Sequence[bool]) -> list[str]:
    """Return the names of the points that no other point equals or beats in everything, and beats in something."""
    better = {name: [-v if low else v for v, low in zip(point, lower, strict=True)] for name, point in points.items()}
    return [
        name
        for name, own in better.items()
        if not any(other != own and all(o >= v for o, v in zip(other, own, strict=True)) for other in better.values())
    ]


def _draw(
    axis: Any,  # noqa: ANN401  untyped
    handles: dict[str, Line2D],
    name: str,
    number: int,
    lines: Sequence[Line],
    few: bool,
) -> None:
    colour, style = COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]
    marker = MARKERS[number % len(MARKERS)]
    if few and len(lines) > 1:
        for line in lines:
            axis.plot(*line, color=colour, linewidth=0.7, alpha=0.35, linestyle=style)
    mean = mean_line(lines)
    if mean[0]:
        every = max(1, len(mean[0]) // 8)
        (handles[name],) = axis.plot(
            *mean, color=colour, linestyle=style, linewidth=1.6, marker=marker, markersize=4, markevery=every
        )


def _trivial(
    axis: Any,  # noqa: ANN401  untyped
    handles: dict[str, Line2D],
    settings: Sequence[Setting],
    name: str,
) -> None:
    """Draw the trivial predictor of the first setting that has the metric."""
    told = [setting.first.summary.get("trivial_val") for setting in settings]
    values = [each.get(name) for each in told if isinstance(each, Mapping)]
    if known := [value for value in values if isinstance(value, int | float)]:
        handles["trivial predictor"] = axis.axhline(known[0], color=MUTED, linewidth=1, linestyle=(0, (1, 2)))


def _dress(axis: Any, title: str) -> None:  # noqa: ANN401  untyped
    axis.set_title(escaped(shortened(title, 40)), fontsize=9, color=INK, loc="left")
    axis.set_xlabel("optimizer step", color=MUTED, fontsize=9)
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def _moving(settings: Sequence[Setting]) -> list[str]:
    """Return the tasks whose weight is not the same in all steps."""
    names = names_of(settings, "weights")
    return [
        name for name in names if any(len(set(line_of(setting.first, "weights", name)[1])) > 1 for setting in settings)
    ]


def _conflicts(settings: Sequence[Setting]) -> list[str]:
    names = names_of(settings, "notes")
    return [name for name in ("conflicts", "update_norm") if name in names] + [
        name for name in names if name.startswith("cosine/")
    ]


@contextlib.contextmanager
def _no_missing_letters() -> Iterator[None]:
    """Let letters that the font lacks be drawn as boxes without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield
