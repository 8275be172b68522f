"""Inputs that were made of a target, or it of them: by their name, class by class, in ranges, by rank or together."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mtl_cli.errors import some
from mtl_cli.init.guess import MIN_ROWS, Guess
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.probe import Cells, linear

PREDICTS = re.compile(r"pred(ict(ed|ion)s?)?|prob(a(bility)?)?|hat|logits?|forecast|fitted|residuals?", re.IGNORECASE)
FEWEST = 10
"""Rows of a class, or of a range, from which on it is not cut by chance."""
MOST_RANGES, MOST_TOGETHER, MAX_ROWS = 20, 40, 5_000
ALIKE, WHOLE = 0.99, 0.999
"""Correlation of ranks, and share of what varies that a sum or a product makes, from which on a column is named."""


def made_of(guess: Guess, columns: Mapping[str, Cells], named: Sequence[str]) -> Iterator[str]:
    """Yield warnings of inputs that a target was made of, or that were made of it; `named` are warned of already."""
    target = guess.columns[0]
    for name, cells in columns.items():
        if name not in named and (why := how_made(guess, target.head(len(cells.codes)), name, cells)):
            yield f"{name} {why}. {unless_known(name, target.name)}"
    numbers = {name: each.numbers for name, each in columns.items() if name not in named and each.numbers is not None}
    if guess.kind in ("real", "count") and target.numbers is not None and (found := together(target.numbers, numbers)):
        parts, word = found
        yield (
            f"{some(parts)} together make {target.name}: it is nearly a {word} of them. "
            f"{unless_known(parts[0], target.name)}"
        )


def unless_known(name: str, target: str) -> str:
    """Return the way out."""
    return f"If it is not known before {target} is, leave it out: drop=[{name}]"


def how_made(guess: Guess, target: LabelColumn, name: str, cells: Cells) -> str:
    """Return how an input and a target hang together, or an empty text."""
    words = re.split(r"[^A-Za-z]+", re.sub(re.escape(target.name), " ", name, flags=re.IGNORECASE))
    if any(map(PREDICTS.fullmatch, words)) and (target.name.lower() in name.lower() or name.lower().startswith("y_")):
        return f"is a prediction of {target.name}, as its name says"
    if guess.kind == "class" and (label := marks_a_class(target, cells)):
        return f"says whether {target.name} is {label}"
    if guess.kind in ("real", "count") and target.numbers is not None:
        if cells.numbers is not None:
            rises = same_ranks(cells.numbers, target.numbers)
            return f"rises or falls with {target.name} nearly everywhere" if rises else ""
        return f"says in which range {target.name} is" if cuts(target.numbers, cells.codes) else ""
    return ""


def marks_a_class(target: LabelColumn, cells: Cells) -> str:
    """Return the class whose rows, and no others, have one of two values; empty where there is none."""
    both = (target.codes >= 0) & (cells.codes >= 0)
    labels, marks = target.codes[both], cells.codes[both]
    if len(np.unique(marks)) != 2:
        return ""
    on = marks == marks[0]
    counts = np.bincount(labels, minlength=len(target.values))
    inside = np.bincount(labels[on], minlength=len(target.values))
    for code in np.flatnonzero(counts >= FEWEST).tolist():
        if len(labels) - counts[code] >= FEWEST and {int(inside[code]), int(on.sum())} in (
            {int(counts[code])},
            {0, int(len(labels) - counts[code])},
        ):
            return target.values[code]
    return ""


def cuts(numbers: np.ndarray, codes: np.ndarray) -> bool:
    """Return whether each code [n] has a range of numbers [n] of its own, with several rows."""
    both = ~np.isnan(numbers) & (codes >= 0)
    numbers, codes = numbers[both], codes[both]
    counts = np.unique(codes, return_counts=True)[1]
    if not 2 <= len(counts) <= MOST_RANGES or counts.min() < FEWEST:
        return False
    ends = sorted((numbers[codes == code].min(), numbers[codes == code].max()) for code in np.unique(codes))
    return all(one[1] < other[0] for one, other in itertools.pairwise(ends))


def same_ranks(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether many different numbers [n] have nearly the ranks of others, or the opposite ones."""
    both = ~np.isnan(one) & ~np.isnan(other)
    pair = one[both], other[both]
    if any(len(np.unique(each)) < MIN_ROWS for each in pair):
        return False
    return bool(abs(np.corrcoef(ranks(pair[0]), ranks(pair[1]))[0, 1]) >= ALIKE)


def ranks(numbers: np.ndarray) -> np.ndarray:
    """Return the ranks of numbers [n]; equal ones have the middle of theirs."""
    ordered = np.sort(numbers)
    return np.searchsorted(ordered, numbers) + np.searchsorted(ordered, numbers, side="right")


def together(target: np.ndarray, columns: Mapping[str, np.ndarray]) -> tuple[list[str], str] | None:
    """Return numbers whose sum, each times a factor, or whose product of powers is nearly the target [N]; or None."""
    if not 2 <= len(columns) <= MOST_TOGETHER:
        return None
    matrix = np.column_stack([*columns.values()])[:MAX_ROWS]  # [n, C]
    target = target[: len(matrix)]
    positive = [name for name, each in columns.items() if np.nanmin(each, initial=np.inf) >= 0]
    kept = matrix[:, [name in positive for name in columns]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ways = [(list(columns), matrix, target, "sum"), (positive, np.log(kept), np.log(target), "product")]
    for names, inputs, wanted, word in ways:
        if len(names) > 1 and (parts := parts_of(names, inputs, wanted)):
            return parts, word
    return None


def parts_of(names: Sequence[str], inputs: np.ndarray, target: np.ndarray) -> list[str]:
    """Return the columns [n, C] that a linear model of a target [n] needs, where it is nearly the whole of it."""
    there = np.isfinite(inputs).all(axis=1) & np.isfinite(target)
    inputs, target = inputs[there], target[there]
    if len(target) < max(MIN_ROWS, 3 * len(names)) or target.std() == 0:
        return []
    std = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(std > 0, std, 1.0)
    target = (target - target.mean()) / target.std()
    train = np.arange(len(target)) % 3 != 0

    def missed(columns: np.ndarray) -> float:
        found = linear(inputs[:, columns], target[:, None], train)[:, 0]
        return float(((target - found)[~train] ** 2).mean())

    every = np.arange(len(names))
    if missed(every) > 1 - WHOLE:
        return []
    needed = [name for at, name in enumerate(names) if missed(np.delete(every, at)) > 1 - WHOLE]
    return needed if len(needed) > 1 else []
