"""What else in a file of rows deserves a word before it is trained on: each note says what was seen and what to do."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mtl_cli.init.cell_texts import is_absent
from mtl_cli.init.guess import MIN_ROWS, Guess
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.probe import Cells
from mtl_cli.tables.labels import TRUTH
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.strange_cells import MISSING_CODE

OFF_SCALE, MOST_STEPS = re.compile(r"-1|-?(9|8|7|88|77)"), 11
"""Such numbers beside the whole numbers of a scale, and the steps of a scale at most."""
LESS = re.compile(r"-(1|9+)")
"""Such numbers beside others that are not less than 0."""
FEWEST, RARE = 3, 0.005
"""Rows, and share of them, from which on such a number is pointed out."""
DAYS = (19000101, 21001231)
"""Days that are written as one number, without signs between."""
AROUND = re.compile(r"^[\x00-\x1f\x7f\s'\"`.,;:\u200b-\u200f\ufeff]+|[\x00-\x1f\x7f\s'\"`.,;:\u200b-\u200f\ufeff]+$")
"""Signs around a word that say nothing."""
WEIGHTS = re.compile(
    r"(sample|survey|case|row|design|post|psp|person)_?(weight|wgh?t)s?|[dp]weight|(.*_)?wgh?t", re.IGNORECASE
)
"""Names of columns that say how much a row counts."""
MOST_NOTES, MOST_CATEGORIES = 3, 1_000


def oddities(file: TableFile, columns: Mapping[str, Cells], guesses: Sequence[Guess]) -> list[str]:
    """Return notes on inputs, other than dates, and on targets in the first rows."""
    targets = [column for guess in guesses for column in guess.columns]
    numbers = {name: cells.numbers for name, cells in columns.items() if cells.numbers is not None}
    days = [note for name, each in numbers.items() for note in days_as_numbers(name, each)]
    numbers |= {column.name: column.numbers for column in targets if column.numbers is not None}
    notes = [note for name, each in numbers.items() for note in missing_codes(file, name, each)]
    notes += [note for name, cells in columns.items() for note in alike_categories(name, cells.values)]
    classes = [guess.columns[0] for guess in guesses if guess.kind in ("class", "binary")]
    notes += [note for column in classes for note in label_words(file, column)]
    notes += [note for column in classes for note in alike_labels(column)]
    notes += [note for column in classes if column.numbers is None for note in absent_labels(file, column.name)]
    return notes + days + weights_of_rows(list(columns), guesses)


def weights_of_rows(names: Sequence[str], guesses: Sequence[Guess]) -> list[str]:
    """Return which inputs are named as weights of rows, and how they become that."""
    return [
        f"{name}: an input, though its name says that it weighs the rows. If so, add to training "
        + " ".join(f"++tasks.{guess.name}.weight_column={name}" for guess in guesses[:MOST_NOTES])
        for name in names
        if WEIGHTS.fullmatch(name)
    ]


def missing_codes(file: TableFile, name: str, numbers: np.ndarray) -> list[str]:
    """Return that a number such as -999 stands far from all others of a column, several times."""
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    notes = []
    for value in {*values[:1].tolist(), *values[-1:].tolist()}:
        count, others, text = counts[values == value][0], values[values != value], f"{value:.15g}"
        often = count >= max(FEWEST, RARE * counts.sum()) and others.size > 1
        if often and MISSING_CODE.fullmatch(text) and is_far(value, others):
            notes.append(
                f"{name}: {text} in {count} rows, far from all other values. If it stands for a missing value, "
                f"say so: mtl-init … {also_missing(file, text)}"
            )
        elif often and (beside := oddly_beside(value, others)):
            notes.append(
                f"{name}: {text} in {count} rows, {beside}. If it stands for a missing value, leave these cells empty "
                "in the file"
            )
    return notes


def missing_dates(name: str, days: np.ndarray | None) -> list[str]:
    """Return that a date such as 1900-01-01 is far from all others of a column, in days since 1970, several times."""
    values, counts = np.unique([] if days is None else days[~np.isnan(days)], return_counts=True)
    if len(values) <= MOST_STEPS:
        return []
    return [
        f"{name}: {np.datetime64(int(values[at]), 'D')} in {counts[at]} rows, far from all other dates. If it stands "
        "for a missing one, leave these cells empty in the file"
        for at in (0, len(values) - 1)
        if counts[at] >= max(FEWEST, RARE * counts.sum()) and is_far(values[at], np.delete(values, at))
    ]


def oddly_beside(value: float, others: np.ndarray) -> str:
    """Return how a number that may say that there is none stands beside others, sorted, in words, or an empty text."""
    text = f"{value:.15g}"
    if OFF_SCALE.fullmatch(text) and is_off_scale(value, others):
        return f"beside a scale from {others[0]:g} to {others[-1]:g}"
    if value == 0 and len(others) > MOST_STEPS and is_far(value, others):
        return "far from all other values"
    alone = LESS.fullmatch(text) and len(others) > MOST_STEPS and others[0] >= 0
    return "the only number less than 0" if alone else ""


def is_far(value: float, others: np.ndarray) -> bool:
    """Return whether a value is further from the nearest of others, sorted, than these are from each other."""
    return bool(np.abs(others - value).min() > others[-1] - others[0])


def is_off_scale(value: float, others: np.ndarray) -> bool:
    """Return whether others, sorted, are three or more whole numbers without a gap, and a value is apart of them."""
    scale = 3 <= len(others) <= MOST_STEPS and bool((np.diff(others) == 1).all() and others[0] % 1 == 0)
    return scale and bool(np.abs(others - value).min() > 1)


def days_as_numbers(name: str, numbers: np.ndarray) -> list[str]:
    """Return that numbers such as 20200131 are days, between which differences say nothing."""
    values = np.unique(numbers[~np.isnan(numbers)])
    if len(values) < MIN_ROWS or (values % 1).any() or values[0] < DAYS[0] or values[-1] > DAYS[1]:
        return []
    month, day = values // 100 % 100, values % 100
    if not ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
        return []
    return [f"{name}: numbers such as {values[0]:.0f} look like days. If they are, write 2020-01-31 for 20200131"]


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
    return [
        f"{column.name}: {', '.join(map(ascii, each))} differ in signs around them or the form of letters "
        "alone, but are classes of their own. If they are one, write them in one way in the file"
        for each in alike(column.values, plain)
    ][:MOST_NOTES]


def alike_categories(name: str, values: Sequence[str]) -> list[str]:
    """Return that categories of an input differ in capitals, signs around them or the form of letters alone."""
    found = alike(values, lambda value: plain(value).casefold()) if len(values) <= MOST_CATEGORIES else []
    return [
        f"{name}: the categories {', '.join(map(ascii, each))} differ in capitals or signs alone, but are categories "
        "of their own. If they are one, write them in one way in the file"
        for each in found
    ][:1]


def alike(values: Sequence[str], form: Callable[[str], str]) -> list[list[str]]:
    """Return the values that have one form, but for the empty one."""
    found: dict[str, list[str]] = {}
    for value in values:
        found.setdefault(form(value), []).append(value)
    return [sorted(each) for name, each in found.items() if name and len(each) > 1]


def plain(value: str) -> str:
    """Return a text without signs around it, its letters composed in one way."""
    return AROUND.sub("", unicodedata.normalize("NFKC", value))


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
