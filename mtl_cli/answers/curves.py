"""Curves of runs by setting: what their records hold over steps, and means over seeds."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from mtl_cli.answers.runs import Run
from mtl_cli.answers.settings import Setting

Line = tuple[list[float], list[float]]
"""Steps and values."""
POINTS = 150
"""Points of a line at most."""
KINDS = {"metrics": "eval", "losses": "train", "weights": "train", "notes": "train"}
"""Which records hold a mapping of values."""


def line_of(run: Run, what: str, name: str) -> Line:
    """Return the line of a value `name` that the records of a run hold under `what`, one of KINDS."""
    steps, values = [], []
    for record in run.records:
        if record.get("kind") != KINDS[what] or record.get("split", "val") != "val":
            continue
        value, step = _get(record.get(what), name), record.get("step")
        if isinstance(value, int | float) and isinstance(step, int):
            steps.append(float(step))
            values.append(float(value))
    return thinned(steps, values)


def names_of(settings: Sequence[Setting], what: str) -> list[str]:
    """Return the names of values that the records of the first runs hold under `what`."""
    found: dict[str, None] = {}
    for setting in settings:
        for record in setting.first.records:
            values = record.get(what)
            if record.get("kind") == KINDS[what] and isinstance(values, Mapping):
                found |= dict.fromkeys(map(str, values))
    return list(found)


def mean_line(lines: Sequence[Line]) -> Line:
    """Return the mean over lines at the steps that all of them have."""
    known = [dict(zip(*line, strict=True)) for line in lines if line[0]]
    if not known:
        return [], []
    steps = [step for step in known[0] if all(step in other for other in known)]
    return steps, [fmean(each[step] for each in known) for step in steps]


def thinned(steps: list[float], values: list[float]) -> Line:
    """Return a line of at most POINTS points, the last one among them."""
    every = max(1, -(-len(steps) // POINTS))
    last = (len(steps) - 1) % every
    return steps[last::every], values[last::every]


def _get(values: Any, name: str) -> Any:  # noqa: ANN401  any JSON value
    return values.get(name) if isinstance(values, Mapping) else None
