"""Inputs that give the answer away: copies of a target, and columns that predict one almost alone."""

from collections.abc import Mapping

import numpy as np

from mtl_cli.init.guess import MIN_ROWS, Guess, LabelColumn, says_the_same
from mtl_cli.init.probe import Cells, Probe

ALONE = 0.95
"""Share of what varies in a target, on rows that were not fitted on, from which on a column predicts it alone."""
MAX_TRIED = 400
"""Columns times targets that are tried at most."""
FEW = 100
"""Rows that most columns are refused by."""


def copies(guess: Guess, samples: Mapping[str, Cells]) -> dict[str, str]:
    """Return the inputs that say the same as a target, with the reason.

    Either each value of one goes with one value of the other, or both are numbers and each rises or falls with the
    other, row by row.
    """
    found: dict[str, str] = {}
    for column in guess.columns[:1] if guess.kind == "ranking" else guess.columns:
        for name, sample in samples.items():
            if why := says(column, sample):
                found[name] = f"it {why} the target {column.name}"
    return found


def says(column: LabelColumn, sample: Cells) -> str:
    """Return how an input says the same as a column of labels, or an empty text."""
    size = len(sample.codes)
    codes = column.codes[:size]
    numbers = None if column.numbers is None else column.numbers[:size]
    if numbers is not None and sample.numbers is not None and (how := goes_with(sample.numbers, numbers)):
        return how
    if not name_each_other(codes[:FEW], sample.codes[:FEW]):
        return ""
    distinct = len(np.unique(codes[codes >= 0]))
    if 2 <= distinct <= size / 2 and says_the_same(codes, sample.codes, distinct):
        return "says the same as"
    return ""


def name_each_other(one: np.ndarray, other: np.ndarray) -> bool:
    """Return True where each code [n] goes with one other code; quick, to refuse most columns by."""
    pairs = {(a, b) for a, b in zip(one.tolist(), other.tolist(), strict=True) if a >= 0 and b >= 0}
    return len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


def goes_with(one: np.ndarray, other: np.ndarray) -> str:
    """Return whether numbers [n] are a copy or a monotone function of others, or an empty text."""
    both = ~np.isnan(one) & ~np.isnan(other)
    one, other = one[both], other[both]
    if len(one) < MIN_ROWS or not is_monotone(one[:FEW], other[:FEW]):
        return ""
    pairs = np.unique(np.stack([one, other], axis=1), axis=0)
    if len(pairs) < MIN_ROWS:  # few values are compared one by one
        return ""
    if np.array_equal(one, other):
        return "is a copy of"
    steps, others = np.diff(pairs[:, 0]), np.diff(pairs[:, 1])
    if (steps > 0).all() and ((others > 0).all() or (others < 0).all()):
        return "is a monotone function of"
    return ""


def is_monotone(one: np.ndarray, other: np.ndarray) -> bool:
    """Return True where many different numbers [n] never fall, or never rise, while others rise."""
    steps = np.diff(other[np.argsort(one)])[np.diff(np.sort(one)) > 0]
    return len(steps) >= MIN_ROWS // 2 and bool((steps >= 0).all() or (steps <= 0).all())


def nearly_answers(columns: Mapping[str, Cells], probes: Mapping[str, Probe]) -> list[str]:
    """Return a warning for each column that predicts a target almost alone."""
    warnings = []
    for target, probe in list(probes.items())[: max(1, MAX_TRIED // max(1, len(columns)))]:
        for name, cells in columns.items():
            if (skill := probe.skill(cells)) >= ALONE:
                warnings.append(
                    f"{name} alone predicts {target} ({skill:.1%} of what varies, on held rows). If it is not known "
                    f"before {target} is, leave it out: drop=[{name}]"
                )
    return warnings
