"""The columns of targets: their labels, and what kind of target they are likely meant as."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.init.asked import Asked
from mtl_cli.init.found_targets import CLASS_KINDS
from mtl_cli.init.guess import Guess, guess_target
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.label_lists import check_separator, label_marks, list_guess
from mtl_cli.init.quantities import not_classes
from mtl_cli.tables.filling import read_table
from mtl_cli.tables.place import canonical
from mtl_cli.tables.profile import ColumnProfile
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.store import Layout, Table

MAX_OUTPUTS = 8
"""Columns or classes of a target that inputs are tried on."""
MAX_NAMED = 1000
"""Different numbers up to which they get names, as classes have."""


def guess_targets(
    file: TableFile,
    labels: Mapping[str, LabelColumn],
    asked: Asked,
    rows: int,
    missing: Mapping[str, tuple[str, ...]],
) -> tuple[Guess, ...]:
    """Return each target as it is likely meant, given its columns' labels.

    Raises:
        UserError: nothing can be learnt from one, or its columns do not go together.
    """
    if asked.ignore_case:
        labels = {name: column.without_case for name, column in labels.items()}
    guesses = tuple(
        list_guess(guess_target(name, [labels[c] for c in columns]), asked.separator)
        for name, columns in asked.targets.items()
    )
    check_separator(asked.separator, guesses)
    check_guesses(file, guesses)
    return with_texts(file, guesses, rows, missing)


def read_labels(
    file: TableFile,
    columns: Mapping[str, ColumnProfile],
    names: Sequence[str],
    rows: int,
    missing: Mapping[str, tuple[str, ...]],
) -> dict[str, LabelColumn]:
    """Return the columns of targets; `missing` are, by column of numbers, words that stand for no label."""
    numbers = tuple(name for name in names if columns[name].kind == "number" or name in missing)
    texts = tuple(name for name in names if name not in numbers)
    table = read_table(file, Layout(numbers, (), texts, missing))
    found = {name: of_numbers(name, table.number(name)) for name in numbers}
    for name in texts:
        codes, values = table.text(name)
        found[name] = LabelColumn(name, None, codes, tuple(values), len(values))
    return {name: found[name] for name in names}


def of_numbers(name: str, values: np.ndarray) -> LabelColumn:
    """Return a column of numbers float64 [N], NaN where missing."""
    present = ~np.isnan(values)
    distinct, places = np.unique(values[present], return_inverse=True)
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[present] = places
    names = tuple(map(canonical, map(str, distinct.tolist()))) if len(distinct) <= MAX_NAMED else ()
    return LabelColumn(name, values, codes, names, len(distinct))


def label_numbers(guess: Guess, rows: int) -> np.ndarray:
    """Return the labels of the first rows as numbers [rows, K] of variance 1 to predict, NaN where missing."""
    column = guess.columns[0]
    codes = column.codes[:rows]
    if guess.kind in ("class", "binary"):
        counts = np.bincount(codes[codes >= 0], minlength=2)
        classes = np.argsort(-counts, kind="stable")[: 1 if guess.kind == "binary" else MAX_OUTPUTS]
        found = np.where(codes[:, None] < 0, np.nan, codes[:, None] == classes)
    elif guess.separator:
        found = label_marks(guess, MAX_OUTPUTS)[:rows]
    elif guess.kind == "multilabel":
        several = np.column_stack([each.codes[:rows] for each in guess.columns[:MAX_OUTPUTS]])
        found = np.where(several < 0, np.nan, several)
    else:
        columns = guess.columns[: MAX_OUTPUTS if guess.kind == "real" else 1]
        found = np.column_stack([each.codes if each.numbers is None else each.numbers for each in columns])[:rows]
    found = found.astype(np.float64)
    low, high = np.nanquantile(found, [0.01, 0.99], axis=0) if found.size else (0.0, 0.0)
    return standardised(np.clip(found, low, high) if guess.kind in ("real", "count") else found)


def standardised(found: np.ndarray) -> np.ndarray:
    """Return columns [N, K] in deviations from their means; constant ones become 0."""
    std = np.nanstd(found, axis=0)
    return (found - np.nanmean(found, axis=0)) / np.where(std > 0, std, 1.0)


def check_guesses(file: TableFile, guesses: Sequence[Guess]) -> None:
    """Refuse targets that nothing can be learnt from, or whose columns do not go together.

    Raises:
        UserError: every one.
    """
    problems = []
    for guess in guesses:
        for column in guess.columns:
            if column.present == 0:
                problems.append(
                    f"{file.path}, column '{column.name}' has no label in any row. Leave it out of target=."
                )
            elif column.distinct == 1:
                problems.append(
                    f"{file.path}, column '{column.name}' has the label '{column.values[0]}' in every row. "
                    "Leave it out of target=."
                )
        if guess.kind == "class" and (told := not_classes(guess.columns[0])):
            problems.append(told.replace("FILE", str(file.path)))
        if not guess.kind:
            problems.append(together(guess))
    if problems:
        raise UserError(problems)


def together(guess: Guess) -> str:
    """Return why the columns of one target do not go together, and what they may be."""
    event = guess.columns[-1]
    if len(guess.columns) == 2 and guess.columns[0].numbers is not None and event.distinct == 2:
        return (
            f"The column '{event.name}' of {'+'.join(guess.names)} holds {' and '.join(event.values)}, which do not "
            "say whether a time ended. Write 1 (it did) and 0 (it did not, censored) in the file."
        )
    if len(guess.columns) == 2 and guess.columns[0].is_truth and event.numbers is not None:
        return (
            f"The columns {'+'.join(guess.names)} of one target do not go together: '{event.name}' holds numbers of "
            "which hardly two are the same, so it names no group. If it is a time: "
            f"target=[{event.name}+{guess.names[0]}]."
        )
    return (
        f"The columns {'+'.join(guess.names)} of one target do not go together. They are all 0 or 1 "
        "(multilabel), all numbers (a vector), time+event (survival) or relevance+group (ranking)."
    )


def with_texts(
    file: TableFile, guesses: Sequence[Guess], rows: int, missing: Mapping[str, tuple[str, ...]]
) -> tuple[Guess, ...]:
    """Return guesses, those of classes with their names as text reads them: 01 is not 1."""

    def has_numbers(guess: Guess) -> bool:
        return guess.kind in CLASS_KINDS and any(column.numbers is not None for column in guess.columns)

    names = tuple(dict.fromkeys(name for guess in guesses if has_numbers(guess) for name in guess.names))
    if not names:
        return tuple(guesses)
    absent = {name: missing[name] for name in names if name in missing}
    table: Table = read_table(file, Layout((), (), names, absent))

    def as_text(column: LabelColumn) -> LabelColumn:
        codes, values = table.text(column.name)
        return LabelColumn(column.name, column.numbers, codes, tuple(values), len(values))

    return tuple(
        replace(guess, columns=tuple(map(as_text, guess.columns))) if has_numbers(guess) else guess for guess in guesses
    )
