"""Several labels in the cells of a target, such as red;blue, told from names and sentences by what the parts are."""

from collections.abc import Sequence

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.init.asked import AUTO
from mtl_cli.init.guess import Guess
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.tables.fitted_target import in_order
from mtl_cli.tables.label_faults import SEPARATORS
from mtl_cli.tables.label_lists import labels_in, marks_of

LISTS = (";", "|")
"""Signs that hardly stand in a name, unlike a comma, + or a slash."""
MOST_LABELS, FEWEST_CELLS, FEWEST_ROWS, ALONE = 300, 0.01, 5, 0.8
"""Labels up to which cells name several of them; share of the rows that must do so; rows from which on a label is not
rare; share of the labels that are cells of their own too, where a sign may stand in names."""


def list_guess(guess: Guess, asked: str | None) -> Guess:
    """Return a guess, as multilabel where its cells name several labels; `asked` is what separates these, or auto.

    Raises:
        UserError: the separator that is asked for is in no cell.
    """
    column = guess.columns[0]
    if guess.kind not in ("class", "binary") or column.numbers is not None or asked is None:
        return guess
    joined = [sign for sign in SEPARATORS if joins(column, sign)]
    if asked != AUTO:
        return as_lists(guess, asked) if any(asked in value for value in column.values) else guess
    if joined:
        return as_lists(guess, joined[0])
    odd = next(((sign, value) for sign in LISTS for value in column.values if len(labels_in(value, sign)) > 1), None)
    if odd is None and joins(column, " "):  # only told, for a space stands in names too
        odd = next((" ", value) for value in column.values if len(labels_in(value, " ")) > 1)
    if odd is None:
        return guess
    say = f"If it names several labels, say so: mtl-init … \"separator='{odd[0]}'\""
    return guess.noted(f"the label '{odd[1]}' is a class of its own. {say}")


def as_lists(guess: Guess, separator: str) -> Guess:
    """Return a guess as one of several labels per cell."""
    column = guess.columns[0]
    counts = label_counts(column, separator)
    such = next(value for value in column.values if separator in value)
    why = f"cells such as '{such}' name several of {len(counts)} labels"
    notes = ["the cells are read as lists. If each is one class: mtl-init … separator=null"]
    if empty := len(column.codes) - column.present:
        notes.append(
            f"{empty} empty cells count as missing labels. If they mean that none of the labels is there, write "
            f"'{separator}' into them"
        )
    if rare := [name for name, count in counts.items() if count < FEWEST_ROWS]:
        notes.append(f"labels of fewer than {FEWEST_ROWS} rows: {', '.join(rare[:6])}{', …' * (len(rare) > 6)}")
    folded = {name.lower() for name in counts}
    if len(folded) < len(counts):
        notes.append("labels differ in capitals only. Join them: mtl-init … ignore_case=true")
    return Guess(guess.name, "multilabel", guess.columns, why, tuple(notes), separator)


def joins(column: LabelColumn, sign: str) -> bool:
    """Return True where cells are lists of few labels, which come together in many ways or also stand alone."""
    lists = [labels_in(value, sign) for value in column.values]
    counts = label_counts(column, sign)
    several = [labels for labels in lists if len(labels) > 1]
    if not several or len(counts) > MOST_LABELS or len(counts) >= column.distinct:
        return False
    rows = np.bincount(column.codes[column.codes >= 0], minlength=len(lists))
    if rows[[len(labels) > 1 for labels in lists]].sum() < max(2, FEWEST_CELLS * column.present):
        return False
    sizes = {len(labels) for labels in lists}
    firsts = {labels[0] for labels in several}
    if len(sizes) == 1 and not firsts & {label for labels in several for label in labels[1:]}:
        return False  # parts of a name, as in "male, young" or "Paris, France"
    if all(label.isdigit() for label in counts) and len(sizes) == 1:
        return False  # a date, a range or a code
    alone = {labels[0] for labels in lists if len(labels) == 1}
    return sign in LISTS or len(sizes) > 2 or len(alone & counts.keys()) >= ALONE * len(counts)


def label_counts(column: LabelColumn, separator: str) -> dict[str, int]:
    """Return the rows that have each label, in the labels' order."""
    rows = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
    counts: dict[str, int] = {}
    for value, count in zip(column.values, rows.tolist(), strict=True):
        for label in labels_in(value, separator):
            counts[label] = counts.get(label, 0) + count
    return {name: counts[name] for name in in_order(counts)}


def label_marks(guess: Guess, most: int) -> np.ndarray:
    """Return which rows have the most frequent labels, at most `most`, float32 [N, labels], NaN where unknown."""
    column = guess.columns[0]
    counts = label_counts(column, guess.separator)
    lists = [labels_in(value, guess.separator) for value in column.values]
    return marks_of(lists, sorted(counts, key=lambda name: -counts[name])[:most])[column.codes]


def check_separator(separator: str | None, guesses: Sequence[Guess]) -> None:
    """Refuse a separator that is in no cell of any target.

    Raises:
        UserError: it says which columns were looked at.
    """
    if separator not in (AUTO, None) and not any(guess.separator for guess in guesses):
        columns = ", ".join(guess.name for guess in guesses)
        raise UserError(f"separator is '{separator}', which is in no cell of a target of texts ({columns}). Drop it.")
