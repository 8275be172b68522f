"""A first look at a file: its columns, targets as they are likely meant, and inputs to drop."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.init.found_targets import CLASS_KINDS
from mtl_cli.init.guess import (
    Guess,
    InputSample,
    LabelColumn,
    guess_drop,
    guess_target,
    same_inputs,
)
from mtl_cli.init.sniff import sniff_delimiter, sniff_encoding
from mtl_cli.init.table_survey import TableSurvey
from mtl_cli.tables.cells import category_cells, date_cells, number_cells
from mtl_cli.tables.notation import NUMBER
from mtl_cli.tables.place import Place, canonical
from mtl_cli.tables.profile import ColumnProfile, Profile, profile
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns, table_format
from mtl_cli.tables.store import Layout, Table, read_table

SAMPLE_ROWS = 50_000
MAX_NAMED = 1000
"""Different numbers up to which they get names, as classes have."""


def open_unknown(
    path: Path, format: str = "auto", delimiter: str | None = None, encoding: str | None = None
) -> TableFile:
    """Return a file whose encoding and delimiter are found by looking, where they are not told.

    Raises:
        UserError: it cannot be read.
    """
    if table_format(path, format) == "parquet":
        return TableFile(path, ReadOptions(format=format))
    encoding = encoding or sniff_encoding(path)
    delimiter = delimiter or sniff_delimiter(path, encoding)
    return TableFile(path, ReadOptions(format=format, delimiter=delimiter, encoding=encoding))


def survey_table(file: TableFile, targets: Mapping[str, Sequence[str]], group: str | None) -> TableSurvey:
    """Return a first look at a table, given the columns of each target, and the column of groups.

    Raises:
        UserError: a column is missing, or cells cannot be read; a target is neither.
    """
    reserved = [group] if group else []
    answers = list(dict.fromkeys(column for columns in targets.values() for column in columns))
    require_columns([*answers, *reserved], file.columns, file.path)
    found = profile(file, file.columns)
    if found.rows < 2:
        raise UserError(f"{file.path} has {found.rows} row{'s' * (found.rows != 1)}; training needs 2 or more.")
    labels, target_missing = read_labels(file, found.columns, answers, found.rows)
    guesses = guess_targets(file, labels, targets, found.rows, target_missing)
    names = [name for name in file.columns if name not in answers and name not in reserved]
    inputs = find_inputs(file, found, names, labels.values())
    return TableSurvey(
        file=file,
        rows=found.rows,
        targets=guesses,
        target_missing=target_missing,
        missing=inputs.missing,
        group=group,
        columns=found.columns,
        drop=inputs.drop,
        categorical=inputs.categorical,
    )


@dataclass(frozen=True)
class FoundInputs:
    """Columns to leave out with the reason, mixed ones to declare, and texts among numbers that mean a missing one."""

    drop: Mapping[str, str]
    categorical: tuple[str, ...]
    missing: tuple[str, ...]


def find_inputs(file: TableFile, found: Profile, names: Sequence[str], labels: Collection[LabelColumn]) -> FoundInputs:
    """Return what becomes of input columns."""
    samples = sample_inputs(file, found.columns, names)
    whole = found.rows <= SAMPLE_ROWS
    drop = {name: guess_drop(found.columns[name], samples[name], whole) for name in names}
    drop = {name: reason for name, reason in drop.items() if reason}
    for column in labels:
        for name in same_inputs(column, {name: sample for name, sample in samples.items() if name not in drop}):
            drop[name] = f"it says the same as the target {column.name}, so the answer would leak into the question"
    mixed = [name for name in names if found.columns[name].kind == "mixed" and name not in drop]
    strays = {name: stray_values(samples[name]) for name in mixed}
    alone = tuple(dict.fromkeys(values[0] for values in strays.values() if whole and len(values) == 1))
    categorical = tuple(name for name in mixed if not (whole and len(strays[name]) == 1))
    return FoundInputs(drop, categorical, alone)


def guess_targets(
    file: TableFile,
    labels: Mapping[str, LabelColumn],
    targets: Mapping[str, Sequence[str]],
    rows: int,
    missing: Mapping[str, tuple[str, ...]],
) -> tuple[Guess, ...]:
    """Return each target as it is likely meant, given its columns' labels.

    Raises:
        UserError: nothing can be learnt from one, or its columns do not go together.
    """
    guesses = tuple(guess_target(name, [labels[column] for column in columns]) for name, columns in targets.items())
    check_guesses(file, guesses)
    return with_texts(file, guesses, rows, missing)


def read_labels(
    file: TableFile, columns: Mapping[str, ColumnProfile], names: Sequence[str], rows: int
) -> tuple[dict[str, LabelColumn], dict[str, tuple[str, ...]]]:
    """Return the columns of targets, and for those of numbers with one other text, that text: a missing label."""
    texts = [name for name in names if columns[name].kind != "number"]
    table = read_table(file, Layout(tuple(name for name in names if name not in texts), (), tuple(texts)), rows)
    found: dict[str, LabelColumn] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name not in texts:
            found[name] = of_numbers(name, table.number(name))
            continue
        codes, values = table.text(name)
        found[name] = LabelColumn(name, None, codes, tuple(values), len(values))
        strays = [value for value in values if not re.match(NUMBER, value)]
        if columns[name].kind == "mixed" and len(strays) == 1:
            missing[name] = (strays[0],)
            lookup = np.array([np.nan if value in strays else float(value) for value in values] + [np.nan])
            found[name] = of_numbers(name, lookup[codes])
    return found, missing


def of_numbers(name: str, values: np.ndarray) -> LabelColumn:
    """Return a column of numbers float64 [N], NaN where missing."""
    present = ~np.isnan(values)
    distinct, places = np.unique(values[present], return_inverse=True)
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[present] = places
    names = tuple(map(canonical, map(str, distinct.tolist()))) if len(distinct) <= MAX_NAMED else ()
    return LabelColumn(name, values, codes, names, len(distinct))


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
        if not guess.kind:
            problems.append(
                f"The columns {'+'.join(guess.names)} of one target do not go together. They are all 0 or 1 "
                "(multilabel), all numbers (a vector), time+event (survival) or relevance+group (ranking)."
            )
    if problems:
        raise UserError(problems)


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
    table: Table = read_table(file, Layout((), (), names, absent), rows)

    def as_text(column: LabelColumn) -> LabelColumn:
        codes, values = table.text(column.name)
        return LabelColumn(column.name, column.numbers, codes, tuple(values), len(values))

    return tuple(
        replace(guess, columns=tuple(map(as_text, guess.columns))) if has_numbers(guess) else guess for guess in guesses
    )


def sample_inputs(
    file: TableFile, columns: Mapping[str, ColumnProfile], names: Sequence[str]
) -> dict[str, InputSample]:
    """Return the cells of input columns in the first rows."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    known: dict[str, dict[str, int]] = {name: {} for name in names}
    how = file.options.notation
    readable = [name for name in names if columns[name].kind in ("number", "date", "text", "mixed")]
    for first, batch in file.batches(readable) if readable else ():
        for name in readable:
            place = Place(file.path, name, first)
            if columns[name].kind in ("number", "date"):
                read = number_cells if columns[name].kind == "number" else date_cells
                parts[name].append(read(batch.column(name), how, place))
                continue
            codes, values = category_cells(batch.column(name), how, place)
            number = known[name]
            parts[name].append(np.array([*(number.setdefault(v, len(number)) for v in values), -1])[codes])
        if first + batch.num_rows >= SAMPLE_ROWS:
            break
    found = {}
    for name in names:
        cells = np.concatenate(parts[name]) if parts[name] else np.zeros(0, dtype=np.int64)
        if cells.dtype == np.float64:
            found[name] = InputSample(of_numbers(name, cells).codes, (), cells)
        else:
            found[name] = InputSample(cells, tuple(known[name]), None)
    return found


def stray_values(sample: InputSample) -> list[str]:
    """Return the values of a column that are not numbers."""
    return [value for value in sample.values if not re.match(NUMBER, value)]
