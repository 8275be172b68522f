"""What the columns of a file are likely to be: kinds of targets, and inputs to drop, each with the reason."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mtl_cli.init.label_column import MAX_ORDERED, LabelColumn
from mtl_cli.init.probe import Cells
from mtl_cli.tables.profile import ColumnProfile

MAX_CLASSES = 100
ORDER_WORDS = re.compile(r"rat(e|ing)|stars?|score|grade|level|sever|stage|satisf|quality|rank|priority", re.IGNORECASE)
COUNT_WORDS = re.compile(r"count|number|num_|^n_|visits|clicks|purchases|events|children|kids|quantity", re.IGNORECASE)
ID_WORDS = re.compile(r"(^|[_\W])(id|ids|uid|uuid|guid|key|idx|index|no|nr|ref)([_\W]|$)", re.IGNORECASE)
CAMEL = re.compile(r"[a-z](Id|ID)$")
NUMBERS_OF_THINGS = re.compile(r"(^|[_\W])(id|ids|uid|uuid|guid)([_\W]|$)", re.IGNORECASE)
"""Names of columns whose numbers name things, also where these are predicted."""
EVENT_WORDS = re.compile(r"status|event|dead|death|died|fustat|censor|relapse|churn|fail", re.IGNORECASE)
RARE, IMBALANCED = 0.05, 10.0
EVEN, LONG_TAIL = 1.0, 3.0
"""Skewness up to which numbers are even enough, and from which on their tail is long."""
LOG_SCALE, ABSOLUTE = "mtl_cli.tasks.regression.LogRegression", "mtl_cli.tasks.regression.L1Regression"
NEARLY_ALL = 0.95
COUNTS = "it counts the rows"
OWN_VALUES = "nearly every row has a value of its own"
MIN_ROWS = 20
"""Rows from which on distinct values say something."""


@dataclass(frozen=True)
class Guess:
    """A target: its kind, its columns, and why; `notes` are what may deserve a look."""

    name: str
    kind: str
    columns: tuple[LabelColumn, ...]
    why: str
    notes: tuple[str, ...] = field(default=())
    separator: str = ""
    """What stands between the labels in a cell, where cells name several."""

    def noted(self, note: str) -> "Guess":
        """Return the guess with one more note."""
        return replace(self, notes=(*self.notes, note))

    @property
    def names(self) -> list[str]:
        """The columns that it is read from."""
        return [column.name for column in self.columns]


def guess_target(name: str, columns: Sequence[LabelColumn]) -> Guess:
    """Return what kind of target one column or several are."""
    if len(columns) == 1:
        column = columns[0].in_word_order
        kind, why = guess_kind(column)
        return Guess(name, kind, (column,), why, (*_notes(name, kind, column), *_case_notes(name, column)))
    if all(column.is_truth for column in columns):
        return Guess(name, "multilabel", tuple(columns), "every column says yes or no")
    if len(columns) == 2 and is_graded(columns[0]) and names_groups(columns[1]):
        first, second = columns
        return Guess(name, "ranking", tuple(columns), f"{first.name} grades the rows of each {second.name}")
    if len(columns) == 2 and columns[0].numbers is not None and says_that_it_ended(columns[1]):
        return Guess(name, "", tuple(columns), "the second column does not say yes or no")
    if all(column.numbers is not None and not column.is_truth for column in columns):
        return Guess(name, "real", tuple(columns), "every column is a number: one vector")
    first, second = columns[0], columns[1]
    if len(columns) == 2 and first.is_truth and may_be_groups(second):
        return Guess(name, "ranking", tuple(columns), f"{first.name} says yes or no, {second.name} names the group")
    if len(columns) == 2 and first.numbers is not None and second.is_truth:
        return Guess(name, "survival", tuple(columns), f"{first.name} is a time, {second.name} says whether it ended")
    return Guess(name, "", tuple(columns), "the columns do not go together")


def says_that_it_ended(column: LabelColumn) -> bool:
    """Return True for an event, by its name, with two values other than yes and no."""
    return column.distinct == 2 and not column.is_truth and bool(EVENT_WORDS.search(column.name))


def is_id(name: str) -> bool:
    """Return True for a column whose name says that it names something."""
    return bool(CAMEL.search(name) or ID_WORDS.search(name))


def is_graded(column: LabelColumn) -> bool:
    """Return True for a few whole numbers from 0 on, as relevance has."""
    if column.numbers is None or column.is_truth or column.distinct > MAX_ORDERED:
        return False
    values = column.numbers[~np.isnan(column.numbers)]
    return bool(values.size and values.min() >= 0 and (values % 1 == 0).all())


def may_be_groups(column: LabelColumn) -> bool:
    """Return False for numbers that hardly come twice and are not named as ids, such as times."""
    return column.numbers is None or is_id(column.name) or column.distinct * 2 <= column.present


def names_groups(column: LabelColumn) -> bool:
    """Return True for texts, or numbers whose name is that of an id, that come several times each."""
    named = column.numbers is None or is_id(column.name)
    return named and not column.is_truth and column.distinct * 2 <= column.present


def guess_kind(column: LabelColumn) -> tuple[str, str]:
    """Return the kind of a target of one column, and why."""
    distinct = column.distinct
    if distinct == 2:
        return "binary", "two values"
    if column.numbers is None:
        return kind_of_words(column)
    if NUMBERS_OF_THINGS.search(column.name) or CAMEL.search(column.name):
        return "class", "the name says that the numbers are names"
    values = column.numbers[~np.isnan(column.numbers)]
    if (values % 1 != 0).any():
        return "real", "numbers with a fraction"
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    dense = distinct <= MAX_ORDERED and distinct >= 0.5 * (high - low + 1)
    if COUNT_WORDS.search(column.name) and low >= 0:
        return "count", f"whole numbers from {low} to {high}, and the name says that they are counted"
    if dense and (ORDER_WORDS.search(column.name) or low == 1):
        return "ordinal", f"{distinct} whole numbers from {low} to {high}: a scale"
    if dense and low == 0 and high == distinct - 1:
        return (
            "class",
            f"the whole numbers 0 to {high}: numbered classes; kind: ordinal if they are a scale, count if counted",
        )
    zeros = float((values == 0).mean()) if values.size else 0.0
    if low == 0 and zeros >= RARE:
        return "count", f"whole numbers from 0 to {high}, {zeros:.0%} of them 0"
    if distinct <= MAX_ORDERED and values.size >= MIN_ROWS * distinct:
        return "class", f"only {distinct} different whole numbers"
    return "real", f"{distinct} different whole numbers from {low} to {high}"


def kind_of_words(column: LabelColumn) -> tuple[str, str]:
    """Return the kind of a target of three texts or more, and why."""
    if column.scale:
        return "ordinal", f"its words are a scale: {' < '.join(column.values)}"
    return "class", f"{column.distinct} different texts"


def _case_notes(name: str, column: LabelColumn) -> list[str]:
    alike = sorted(column.alike, key=lambda each: (each.lower(), each))
    join = f"Join them: mtl-init … ignore_case=true; or in training: ++tasks.{name}.ignore_case=true"
    return [f"{', '.join(alike[:6])} differ in capitals only. {join}"] if alike else []


def _notes(name: str, kind: str, column: LabelColumn) -> list[str]:
    notes = []
    if kind in ("class", "binary", "ordinal"):
        counts = sorted(column.counts.values())
        if counts and counts[-1] >= IMBALANCED * counts[0]:
            notes.append(
                f"the most frequent class is {counts[-1] / max(1, counts[0]):.0f} times the rarest: look at f1 rather "
                "than accuracy; class_weights=balanced, focal_gamma=2 or dataset.balance weigh rare classes up"
            )
        if len(counts) > MAX_CLASSES:
            notes.append(f"{len(counts)} classes are many: is the column a text, or a name of each row?")
        if counts and counts[0] < 5:
            notes.append("a class has fewer than 5 rows: validation or test may lack it")
    if kind == "real" and column.numbers is not None:
        notes += _tail_notes(name, column.numbers[~np.isnan(column.numbers)])
    return notes


def _tail_notes(name: str, values: np.ndarray) -> list[str]:
    """Return what to try on numbers with a long tail: a log scale where it makes them even, absolute errors always."""
    tail = skewness(values)
    logs = skewness(np.log(values)) if values.size and values.min() > 0 else math.inf
    if tail > EVEN and abs(logs) < tail / 2:
        return [f"a long tail, but not of its logarithms. Try a log scale, tasks.{name}._target_={LOG_SCALE}"]
    if abs(tail) > LONG_TAIL:
        return [f"a long tail. Try absolute errors, tasks.{name}._target_={ABSOLUTE}"]
    return []


def skewness(values: np.ndarray) -> float:
    """Return the third moment of values, standardised; 0 where they are all the same."""
    spread = values.std() if values.size else 0.0
    return float(((values - values.mean()) ** 3).mean() / spread**3) if spread > 0 else 0.0


def guess_drop(profile: ColumnProfile, sample: Cells, whole: bool) -> str:
    """Return why an input column should be dropped, or an empty string; `whole` where the sample is all of the rows."""
    present = sample.codes >= 0
    count = int(present.sum())
    distinct = len(np.unique(sample.codes[present]))
    if profile.kind == "empty":
        return "no cell has a value"
    if profile.kind not in ("number", "date", "text", "mixed"):
        return f"cells of type {profile.kind} are not inputs"
    if whole and distinct <= 1 and count == len(sample.codes):
        return "the same value in every row"
    if count < MIN_ROWS or distinct < NEARLY_ALL * count:
        return ""
    if profile.kind in ("text", "mixed"):
        return f"{OWN_VALUES}: a name or a free text, not a category"
    if profile.kind == "number" and sample.numbers is not None:
        steps = np.diff(sample.numbers[~np.isnan(sample.numbers)])
        if steps.size and (steps == 1).mean() > NEARLY_ALL:
            return COUNTS
    return ""


def says_the_same(one: np.ndarray, other: np.ndarray, distinct: int) -> bool:
    """True where codes [n] of two columns name each other; `distinct` are those of the first."""
    both = (one >= 0) & (other >= 0)
    if both.sum() < MIN_ROWS or len(one) != len(other):
        return False
    pairs = np.unique(one[both] * (int(other.max()) + 1) + other[both])
    if len(pairs) > distinct or len(pairs) < 2:
        return False
    width = int(other.max()) + 1
    return len(np.unique(pairs // width)) == len(np.unique(pairs % width)) == len(pairs)
