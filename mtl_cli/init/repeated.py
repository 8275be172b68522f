"""Rows of one thing in several splits: ids and names that come again, and rows that are copies."""

import re
from collections.abc import Sequence

import numpy as np

from mtl_cli.init.guess import MIN_ROWS, is_id
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.probe import Cells

FEWEST, MANY_COPIES, CHANCE = 3, 0.01, 2.0
"""Copies, share of rows, and factor of what chance gives, from which on copies are pointed out."""
MIN_GROUPS = 10
PERSON = re.compile(r"patient|subject|participant|person|speaker|animal|mouse", re.IGNORECASE)
LAST_PART = re.compile(r"[_\-/. ][^_\-/. ]*$")
ENDING = re.compile(r"\.[a-z][a-z0-9]{1,4}$", re.IGNORECASE)
MIXING = np.uint64(0x9E3779B97F4A7C15)


def repeated_ids(name: str, codes: np.ndarray, targets: Sequence[LabelColumn]) -> list[str]:
    """Return that rows of one patient, or of another id whose rows all have one label, are in several splits."""
    why = why_together(name, codes, targets) if PERSON.search(name) or is_id(name) else None
    return [] if why is None else [f"{name}: {why} keep each in one split: mtl-init … group={name}"]


def repeated_beginnings(name: str, cells: Cells, targets: Sequence[LabelColumn]) -> list[str]:
    """Return that names of rows, which are not inputs, begin with the names of things that have several rows."""
    begin = [LAST_PART.sub("", ENDING.sub("", value)) for value in cells.values]
    codes = np.append(np.unique(begin, return_inverse=True)[1], -1)[cells.codes] if begin else cells.codes
    person = next((each for each in (name, *begin[:1]) if PERSON.search(each)), "")
    why = why_together(person, codes, targets)
    if why is None:
        return []
    return [
        f"{name}: names such as '{begin[0]}' begin several rows, {why} write these beginnings into a column of their "
        "own, and give it as group="
    ]


def why_together(name: str, codes: np.ndarray, targets: Sequence[LabelColumn]) -> str | None:
    """Return why the rows of each code [n] may belong into one split; None where nothing says so."""
    present = codes >= 0
    rows, groups = int(present.sum()), len(np.unique(codes[present]))
    if groups < MIN_GROUPS or rows < 2 * groups:
        return None
    same = [each.name for each in targets if each.distinct < groups and is_constant(codes, each.codes[: len(codes)])]
    if not same and not PERSON.search(name):
        return None
    why = f" All rows of one have the same {same[0]}." if same else ""
    return (
        f"{groups} values in {rows} rows, and rows of one are in the training and in the test split.{why} If new ones "
        "are to be predicted,"
    )


def is_constant(groups: np.ndarray, codes: np.ndarray) -> bool:
    """Return whether each group [n] has one code, where it has several rows with one."""
    both = (groups >= 0) & (codes >= 0)
    pairs = np.unique(np.stack([groups[both], codes[both]]), axis=1)
    return bool(both.any()) and len(np.unique(pairs[0])) == pairs.shape[1]


def copied_rows(codes: Sequence[np.ndarray]) -> list[str]:
    """Return that many rows are the same as others; `codes` are those of all columns, of their first rows."""
    rows = min(map(len, codes), default=0)
    if rows < MIN_ROWS:
        return []
    whole, alike = np.zeros(rows, dtype=np.uint64), 0.5 * rows * rows
    for each in codes:
        counts = np.bincount(each[:rows] + 1) / rows
        alike *= float((counts**2).sum())  # pairs of equal rows, were columns independent
        whole = (whole ^ (whole >> np.uint64(31))) * MIXING + each[:rows].astype(np.uint64)  # differs where a code does
    copies = rows - len(np.unique(whole))
    if copies < max(FEWEST, MANY_COPIES * rows, CHANCE * alike):
        return []
    return [
        f"{copies} of {rows} rows are the same as an earlier one in all inputs and targets. If they were measured "
        "once, leave one of each in the file: a copy in the training rows answers its twin in the test split"
    ]
