"""Inputs that give the answer away: copies of a target, and columns that predict one almost alone."""

from collections.abc import Mapping, Sequence

import numpy as np

from mtl_cli.init.derived import made_of, unless_known
from mtl_cli.init.guess import MIN_ROWS, Guess, says_the_same
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.probe import Cells, Probe

ALONE = 0.95
"""Share of what varies in a target, on rows that were not fitted on, from which on a column predicts it alone."""
MAX_TRIED = 400
"""Columns times targets that are tried at most."""
FEW = 100
"""Rows that most columns are refused by."""


class Screen:
    """Columns of inputs, with what refuses most of them as copies of a target at once.

    Hundreds of targets times a thousand columns are half a million pairs, of which each would take 0.1 ms.
    """

    def __init__(self, columns: Mapping[str, Cells]) -> None:
        self.columns = dict(columns)
        first = [cells.codes[:FEW] for cells in columns.values()]
        self._few = np.stack(first) if first else np.empty((0, 0), dtype=np.int64)  # [C, n]
        self._rich = np.array([is_rich(cells.numbers) for cells in columns.values()], dtype=bool)  # [C]

    def candidates(self, target: LabelColumn) -> list[str]:
        """Return the columns that may say the same as a target."""
        named = self._named(target.codes[: self._few.shape[1]])
        if is_rich(target.numbers):
            named |= self._rich
        return [name for name, may in zip(self.columns, named.tolist(), strict=True) if may]

    def _named(self, codes: np.ndarray) -> np.ndarray:
        """Return in which columns each code of the first rows [n] goes with one other code [C]."""
        may = np.ones(len(self._few), dtype=bool)
        low = []
        for code in np.unique(codes[codes >= 0]).tolist():
            own = self._few[:, codes == code]
            there = own >= 0
            least, most = np.where(there, own, FAR).min(axis=1), np.where(there, own, -1).max(axis=1)
            may &= ~there.any(axis=1) | (least == most)  # one value in these rows
            low.append(np.where(there.any(axis=1), least, -1 - code))
        if low:  # values of different codes differ
            ordered = np.sort(np.stack(low), axis=0)
            may &= (ordered[1:] != ordered[:-1]).all(axis=0)
        return may


FAR = np.iinfo(np.int64).max


def is_rich(numbers: np.ndarray | None) -> bool:
    """Return whether there are so many different numbers that rising or falling with others says something."""
    return numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) >= MIN_ROWS


def copies(guess: Guess, screen: Screen) -> dict[str, str]:
    """Return the inputs that say the same as a target, with the reason.

    Either each value of one goes with one value of the other, or both are numbers and each rises or falls with the
    other, row by row.
    """
    found: dict[str, str] = {}
    for column in guess.columns[:1] if guess.kind == "ranking" else guess.columns:
        for name in screen.candidates(column):
            if why := says(column, screen.columns[name]):
                found[name] = f"it {why} the target {column.name}"
    return found


def says(column: LabelColumn, sample: Cells) -> str:
    """Return how an input says the same as a column of labels, or an empty text."""
    size = len(sample.codes)
    codes = column.codes[:size]
    numbers = None if column.numbers is None else column.numbers[:size]
    if numbers is not None and sample.numbers is not None and (how := goes_with(sample.numbers, numbers)):
        return how
    both = (codes >= 0) & (sample.codes >= 0)
    distinct = len(np.unique(codes[codes >= 0]))
    if 2 <= distinct <= both.sum() / 2 and says_the_same(codes, sample.codes, distinct):
        return "says the same as"
    return ""


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


def nearly_answers(columns: Mapping[str, Cells], probes: Mapping[str, Probe], guesses: Sequence[Guess]) -> list[str]:
    """Return a warning for each column that predicts a target almost alone, and for those that it was made of."""
    warnings = []
    by_name = {guess.name: guess for guess in guesses}
    for target, probe in list(probes.items())[: max(1, MAX_TRIED // max(1, len(columns)))]:
        skills = {name: probe.skill(cells) for name, cells in columns.items()}
        alone = {name: skill for name, skill in skills.items() if skill >= ALONE}
        warnings += [
            f"{name} alone predicts {target} ({skill:.1%} of what varies, on held rows). {unless_known(name, target)}"
            for name, skill in alone.items()
        ]
        warnings += made_of(by_name[target], columns, list(alone))
    return warnings
