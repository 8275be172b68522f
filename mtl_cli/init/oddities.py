"""What else in a file of rows deserves a word before it is trained on: each note says what was seen and what to do."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from mtl_cli.init.cell_texts import is_absent
from mtl_cli.init.guess import MIN_ROWS, Guess, LabelColumn, is_id
from mtl_cli.init.probe import Cells
from mtl_cli.tables.labels import TRUTH
from mtl_cli.tables.reading import TableFile

CODE = re.compile(r"-?(9{2,}|8{3,}|7{3,})")
"""Numbers that people write for a missing one."""
FEWEST, RARE = 3, 0.005
"""Rows, and share of them, from which on such a number is pointed out."""
MANY_COPIES, CHANCE = 0.01, 2.0
"""Share of rows, and factor of what chance gives, from which on copies are pointed out."""
AROUND = re.compile(r"^[\s'\"`.,;:\u200b-\u200f\ufeff]+|[\s'\"`.,;:\u200b-\u200f\ufeff]+$")
"""Signs around a word that say nothing."""
MOST_NOTES, MIN_GROUPS = 3, 10
PERSON = re.compile(r"patient|subject|participant|person|speaker|animal|mouse", re.IGNORECASE)
MIXING = np.uint64(0x9E3779B97F4A7C15)
STEADY = 0.98
"""Share of steps from row to row in which time goes on, from which on rows are in the order of time."""


def oddities(
    file: TableFile, columns: Mapping[str, Cells], dates: Sequence[str], guesses: Sequence[Guess], divided: bool
) -> list[str]:
    """Return notes on inputs and targets in the first rows; `dates` are columns of dates.

    `divided` says that a column divides the rows already.
    """
    targets = [column for guess in guesses for column in guess.columns]
    numbers = {name: cells.numbers for name, cells in columns.items() if name not in dates}
    numbers |= {column.name: column.numbers for guess in guesses if guess.kind == "real" for column in guess.columns}
    notes = [note for name, each in numbers.items() if each is not None for note in missing_codes(file, name, each)]
    classes = [guess.columns[0] for guess in guesses if guess.kind in ("class", "binary")]
    notes += [note for column in classes for note in label_words(file, column)]
    notes += [note for column in classes for note in alike_labels(column)]
    notes += [note for column in classes if column.numbers is None for note in absent_labels(file, column.name)]
    notes += copied_rows([*(cells.codes for cells in columns.values()), *(column.codes for column in targets)])
    if not divided:
        notes += [note for name in dates for note in in_time(name, columns[name].numbers)]
        notes += next(filter(None, (repeated_ids(name, cells.codes, targets) for name, cells in columns.items())), [])
    return notes


def missing_codes(file: TableFile, name: str, numbers: np.ndarray) -> list[str]:
    """Return that a number such as -999 stands far from all others of a column, several times."""
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    notes = []
    for value in {*values[:1].tolist(), *values[-1:].tolist()}:
        count, others = counts[values == value][0], values[values != value]
        often = count >= max(FEWEST, RARE * counts.sum()) and others.size > 1
        if often and is_far(value, others) and CODE.fullmatch(f"{value:.15g}"):
            notes.append(
                f"{name}: {value:g} in {count} rows, far from all other values. If it stands for a missing value, "
                f"say so: mtl-init … {also_missing(file, f'{value:.15g}')}"
            )
    return notes


def is_far(value: float, others: np.ndarray) -> bool:
    """Return whether a value is further from the nearest of others, sorted, than these are from each other."""
    return bool(np.abs(others - value).min() > others[-1] - others[0])


def also_missing(file: TableFile, word: str) -> str:
    """Return the option of mtl-init by which a word stands for a missing value too."""
    words = [f"'{each}'" for each in (*file.options.missing, word)]
    return f'"missing_values=[{",".join(words)}]"'


def label_words(file: TableFile, column: LabelColumn) -> list[str]:
    """Return that labels are words for a missing one, or say yes and no in several ways."""
    notes = [
        f"{column.name}: the label '{value}' may stand for a missing one. If so: mtl-init … {also_missing(file, value)}"
        for value in column.values
        if is_absent(value) and "'" not in value
    ]
    folded = {value.lower() for value in column.values}
    if len(folded) > 2 and folded <= TRUTH.keys():
        notes.append(
            f"{column.name}: {', '.join(column.values[:6])} say yes or no in several ways, and each is a class of its "
            "own. Write them in one way in the file"
        )
    return notes


def alike_labels(column: LabelColumn) -> list[str]:
    """Return that labels differ in signs around them, or in how letters are composed, alone."""
    plain: dict[str, list[str]] = {}
    for value in column.values:
        plain.setdefault(AROUND.sub("", unicodedata.normalize("NFKC", value)), []).append(value)
    return [
        f"{column.name}: {', '.join(map(ascii, sorted(each)))} differ in signs around them or the form of letters "
        "alone, but are classes of their own. If they are one, write them in one way in the file"
        for name, each in plain.items()
        if name and len(each) > 1
    ][:MOST_NOTES]


def absent_labels(file: TableFile, name: str) -> list[str]:
    """Return that words in a column of labels count as missing, which may be labels: NA for North America."""
    words = [word for word in file.options.missing if word]
    counts = Counter[str]()
    for _, batch in file.verbatim().batches([name]) if words and file.is_text else ():
        counts.update(text for text in batch.column(0).drop_null().to_pylist() if text in words)
    return [
        f"{name}: {count} cells '{word}' count as missing labels. If it is a label: mtl-init … "
        f'"missing_values=[{",".join(repr(each) for each in file.options.missing if each != word)}]"'
        for word, count in counts.items()
        if count >= FEWEST
    ]


def repeated_ids(name: str, codes: np.ndarray, targets: Sequence[LabelColumn]) -> list[str]:
    """Return that rows of one patient, or of another id whose rows all have one label, are in several splits."""
    present = codes >= 0
    rows, groups = int(present.sum()), len(np.unique(codes[present]))
    if groups < MIN_GROUPS or rows < 2 * groups or not (PERSON.search(name) or is_id(name)):
        return []
    same = [each.name for each in targets if each.distinct < groups and is_constant(codes, each.codes[: len(codes)])]
    if not same and not PERSON.search(name):
        return []
    why = f" All rows of one have the same {same[0]}." if same else ""
    return [
        f"{name}: {groups} values in {rows} rows, and rows of one are in the training and in the test split.{why} If "
        f"new ones are to be predicted, keep each in one split: mtl-init … group={name}"
    ]


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


def in_time(name: str, days: np.ndarray | None) -> list[str]:
    """Return that rows stand in the order of a date, and how to divide them by it."""
    steps = np.diff(days[~np.isnan(days)]) if days is not None else np.empty(0)
    forward, back = (steps >= 0).mean() if steps.size else 0.0, (steps <= 0).mean() if steps.size else 0.0
    if len(steps) < MIN_ROWS or max(forward, back) < STEADY or not steps.any():
        return []
    return [
        f"rows are in the order of {name}. To train on older rows and test on the newest ones, write "
        f"time_column: {name} into the file of the dataset, in the place of stratify"
    ]
