"""Whole numbers that are not quantities: numbers of rows, and codes that help as categories."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtl_cli.init.guess import MIN_ROWS, is_id
from mtl_cli.init.probe import Cells, Probe

NEARLY_ALL, GAPS = 0.95, 1.1
"""Share of the rows with a value of their own, and the range of numbers without gaps by how many they are."""
REPEATED, OFTEN = 2, 3
"""Rows per value from which on a column is tried as a category, and from which on in a pair with another one."""
SAYS = 0.1
"""Share of what varies in a target from which on numbers without a gap are not mere numbers of rows."""
MAX_TRIED, MAX_PAIRS = 200, 6
"""Columns times targets, and pairs of columns times targets, that are tried at most."""


@dataclass(frozen=True)
class FoundCodes:
    """Columns to leave out, and columns that are categories, each with the reason."""

    drop: Mapping[str, str]
    categorical: Mapping[str, str]


def guess_codes(columns: Mapping[str, Cells], probes: Mapping[str, Probe]) -> FoundCodes:
    """Return which columns of numbers only name rows, and which are better as categories."""
    whole = {name: cells for name, cells in columns.items() if is_whole(cells)}
    drop = {name: why for name, cells in whole.items() if (why := names_rows(name, cells, probes))}
    tried = {name: cells for name, cells in whole.items() if name not in drop and rows_per_value(cells) >= REPEATED}
    saved: dict[str, tuple[float, str]] = {}
    for target, probe in list(probes.items())[: max(1, MAX_TRIED // max(1, len(tried)))]:
        for name, cells in tried.items():
            if (share := probe.is_category(cells)) > saved.get(name, (0.0, ""))[0]:
                saved[name] = share, target
    pairs = pairs_of({name: cells for name, cells in tried.items() if name not in saved})
    for (one, other), (target, probe) in itertools.islice(itertools.product(pairs, probes.items()), MAX_PAIRS):
        if share := probe.are_categories(tried[one], tried[other]):
            for name, partner in ((one, other), (other, one)):
                saved.setdefault(name, (share, f"{target}, together with {partner}"))
    why = "codes that repeat: as categories they save {:.0%} of the error of a number on held rows of {}"
    return FoundCodes(drop, {name: why.format(*saved[name]) for name in tried if name in saved})


def is_whole(cells: Cells) -> bool:
    """Return True for a column of three or more different whole numbers."""
    numbers = cells.numbers
    if numbers is None or (present := numbers[~np.isnan(numbers)]).size < MIN_ROWS:
        return False
    return bool((present % 1 == 0).all()) and len(np.unique(present)) >= 3


def rows_per_value(cells: Cells) -> float:
    """Return how many rows a value has on average."""
    present = cells.codes[cells.codes >= 0]
    return len(present) / max(1, len(np.unique(present)))


def names_rows(name: str, cells: Cells, probes: Mapping[str, Probe]) -> str:
    """Return why a column of whole numbers only names the rows, or an empty text."""
    assert cells.numbers is not None
    present = cells.numbers[~np.isnan(cells.numbers)]
    if rows_per_value(cells) * NEARLY_ALL > 1:
        return ""
    if is_id(name):
        return "nearly every row has a number of its own, and the name says that it names the row"
    low, high = int(present.min()), int(present.max())
    if high - low + 1 > GAPS * len(present) or any(probe.skill(cells) > SAYS for probe in probes.values()):
        return ""
    return f"whole numbers from {low} to {high} without gaps, one per row: they number the rows"


def pairs_of(columns: Mapping[str, Cells]) -> list[tuple[str, str]]:
    """Return pairs of columns whose values repeat often, those with names of ids first."""
    often = [name for name, cells in columns.items() if rows_per_value(cells) >= OFTEN]
    often.sort(key=lambda name: not is_id(name))
    return list(itertools.combinations(often, 2))
