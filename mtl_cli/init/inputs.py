"""The columns of inputs: which to leave out, which are categories, and which deserve a look, each with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_cli.init.codes import guess_codes
from mtl_cli.init.guess import COUNTS, Guess, guess_drop
from mtl_cli.init.labels import label_numbers, of_numbers
from mtl_cli.init.leaks import Screen, copies, nearly_answers
from mtl_cli.init.near_copies import nearly_copied_rows
from mtl_cli.init.oddities import missing_dates, oddities
from mtl_cli.init.order import in_order, times_among
from mtl_cli.init.probe import Cells, Probe
from mtl_cli.init.repeated import copied_rows, repeated_beginnings, repeated_ids
from mtl_cli.tables.cells import category_cells, date_cells, number_cells
from mtl_cli.tables.place import Place
from mtl_cli.tables.profile import ColumnProfile, Profile
from mtl_cli.tables.reading import TableFile

SAMPLE_ROWS = 50_000
MAX_PROBED, MAX_BESIDE = 12, 40
"""Targets that columns are tried on, and numbers whose linear share is left out before."""


@dataclass(frozen=True)
class FoundInputs:
    """Columns to leave out and columns that are categories, with the reason, and what deserves a look."""

    drop: Mapping[str, str]
    categorical: Mapping[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What else was seen in inputs and targets."""


def find_inputs(
    file: TableFile,
    found: Profile,
    names: Sequence[str],
    guesses: Sequence[Guess],
    left_out: Mapping[str, str],
    beside: bool = False,
    divided: bool = False,
) -> FoundInputs:
    """Return what becomes of input columns; `left_out` are further ones that are not inputs, with the reason.

    All of them may be left out where they stand `beside` another input, such as an image. `divided` says that a column
    divides the rows.
    """
    samples = sample_inputs(file, found.columns, names)
    whole = found.rows <= SAMPLE_ROWS
    drop = {name: guess_drop(found.columns[name], samples[name], whole) for name in names}
    drop = {name: reason for name, reason in drop.items() if reason}
    left = {name: sample for name, sample in samples.items() if name not in drop}
    screen = Screen(left)
    same = {name: why for guess in guesses for name, why in copies(guess, screen).items()}
    warnings = []
    if same.keys() == left.keys() and not beside:
        warnings = [f"{name} stays an input, because no other is left, but {why}" for name, why in same.items()]
    else:
        drop |= {name: f"{why}, so the answer would leak into the question" for name, why in same.items()}
    left = {name: sample for name, sample in left.items() if name not in drop}
    probes = probes_of(guesses, left)
    codes = guess_codes({name: left[name] for name in left if found.columns[name].kind == "number"}, probes)
    drop |= codes.drop
    if not beside and drop.keys() >= {*names}:
        numbering = [name for name in names if name in codes.drop or drop[name] == COUNTS]
        warnings += [f"{name} stays an input, because no other is left, but {drop.pop(name)}" for name in numbering]
    tried = {name: cells for name, cells in left.items() if name not in {*drop, *same}}
    warnings += nearly_answers(tried, probes, guesses)
    mixed = {name: "numbers and text" for name in left if found.columns[name].kind == "mixed"}
    notes = notes_on(file, found, samples, guesses, drop, divided)
    return FoundInputs({**left_out, **drop}, {**mixed, **codes.categorical}, tuple(warnings), tuple(notes))


def notes_on(
    file: TableFile,
    found: Profile,
    samples: Mapping[str, Cells],
    guesses: Sequence[Guess],
    drop: Mapping[str, str],
    divided: bool,
) -> list[str]:
    """Return what else was seen; `divided` says that a column divides the rows."""
    targets = [column for guess in guesses for column in guess.columns]
    kept = {name: cells for name, cells in samples.items() if name not in drop}
    dates = {name: cells for name, cells in kept.items() if found.columns[name].kind == "date"}
    notes = [note for name, cells in dates.items() for note in missing_dates(name, cells.numbers)]
    notes += oddities(file, {name: cells for name, cells in kept.items() if name not in dates}, guesses)
    notes += copied_rows([*(cells.codes for cells in kept.values()), *(column.codes for column in targets)])
    notes += nearly_copied_rows(
        {n: cells for n, cells in kept.items() if n not in dates}, [column.codes for column in targets]
    )
    if not divided:
        notes += in_order(times_among(samples, dates), kept)
        alike = [repeated_ids(name, cells.codes, targets) for name, cells in kept.items()]
        alike += [repeated_beginnings(name, samples[name], targets) for name in drop if name in samples]
        notes += next(filter(None, alike), [])
    return notes


def probes_of(guesses: Sequence[Guess], columns: Mapping[str, Cells]) -> dict[str, Probe]:
    """Return the first targets as columns are tried on them."""
    if not columns:
        return {}
    numbers = [cells.numbers for cells in columns.values() if cells.numbers is not None][:MAX_BESIDE]
    size = len(next(iter(columns.values())).codes)
    beside = np.column_stack(numbers) if numbers else np.empty((size, 0))
    return {guess.name: Probe(label_numbers(guess, size), beside) for guess in guesses[:MAX_PROBED]}


def sample_inputs(file: TableFile, columns: Mapping[str, ColumnProfile], names: Sequence[str]) -> dict[str, Cells]:
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
            found[name] = Cells(of_numbers(name, cells).codes, cells)
        else:
            found[name] = Cells(cells, None, tuple(known[name]))
    return found
