"""What the columns of a file hold, found by one pass over it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa, pc
from mtl_cli.tables.cells import is_text
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.reading import TableFile

MOSTLY = 0.5
"""Share of numbers from which a column that also holds other text counts as a column of numbers with a fault."""
EXACT = 2**53 - 1
"""Largest whole number that float64 tells from all others."""

FIRST = 64
"""Cells of a batch that are tried before all of them."""


@dataclass
class ColumnProfile:
    """Counts of one column's cells; `stray` and `stray_row` are its first text that is not a number.

    `codes` are whole numbers that are not quantities: they begin with a zero (02134), or are too large for float64 to
    tell them apart. `fractions` are all numbers but whole ones; one of them decides, so that no more are counted.
    """

    name: str
    path: Path
    cells: int = 0
    missing: int = 0
    numbers: int = 0
    dates: int = 0
    codes: int = 0
    fractions: int = 0
    stray: str = ""
    stray_row: int = -1
    declared: str = ""

    @property
    def kind(self) -> str:
        """number, date, text, mixed (mostly numbers, with text among them) or empty."""
        present = self.cells - self.missing
        if self.declared or not present:
            return self.declared or "empty"
        if self.is_code:
            return "text"
        if present in (self.numbers, self.dates):
            return "number" if present == self.numbers else "date"
        return "mixed" if self.numbers >= MOSTLY * present else "text"

    @property
    def is_code(self) -> bool:
        """True for whole numbers that name something, such as postal codes and numbers of accounts."""
        return self.codes > 0 and not self.fractions

    def add(self, array: "pa.Array", how: Notation, first_row: int) -> "pa.Array":
        """Take in the texts of a batch; return them as numbers float64, or else encoded by a dictionary.

        Numbers are taken in too, of a column whose first batch has a fraction.
        """
        self.cells += len(array)
        if (numbers := as_floats(array)) is None:
            encoded = array.cast(pa.string()).dictionary_encode()
            self._add_texts(encoded, how, first_row)
            return encoded
        self.numbers += len(array) - array.null_count
        self.missing += array.null_count
        self._count_codes(array, numbers.to_numpy(zero_copy_only=False))
        return numbers

    def _add_texts(self, encoded: "pa.DictionaryArray", how: Notation, first_row: int) -> None:
        """Take in texts of which some are not numbers as computers write them."""
        values = how.trimmed(encoded.dictionary)
        codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        counts = np.bincount(codes, minlength=len(values) + 1)[:-1]
        absent = values.is_null().to_numpy(zero_copy_only=False)
        texts = how.without_signs(values)
        matches = pc.match_substring_regex(texts, how.number).fill_null(False)
        is_number = matches.to_numpy(zero_copy_only=False)
        is_date = how.are_dates(values).fill_null(False).to_numpy(zero_copy_only=False)
        self.missing += encoded.null_count + int(counts[absent].sum())
        self.numbers += int(counts[is_number].sum())
        self.dates += int(counts[is_date].sum())
        written = pc.filter(texts, matches)
        self._count_codes(written, how.numbers(written).to_numpy(zero_copy_only=False))
        strays = np.append(~(is_number | absent), False)
        if self.stray_row < 0 and strays.any():
            at = int(np.flatnonzero(strays[codes])[0])
            self.stray, self.stray_row = values[int(codes[at])].as_py(), first_row + at

    def _count_codes(self, texts: "pa.Array", numbers: np.ndarray) -> None:
        """Count codes and fractions among texts that are numbers, up to the batch of the first fraction."""
        if self.fractions:
            return
        whole = np.trunc(numbers) == numbers
        self.fractions += int((~(whole & np.isfinite(numbers)) & ~np.isnan(numbers)).sum())
        if self.fractions:
            return
        texts = texts.cast(pa.string())
        self.codes += padded(texts, np.flatnonzero(whole))
        if (large := np.abs(numbers) > EXACT).any():
            whole = pc.match_substring_regex(pc.filter(texts, pa.array(large)), r"^[+-]?\d+$")
            self.codes += pc.sum(whole).as_py() or 0
            self.fractions += pc.sum(pc.invert(whole)).as_py() or 0

    def mixed_error(self) -> UserError:
        """Return the error for a column of numbers with text among them."""
        return UserError(
            f"{self.path}, row {self.stray_row + 1}, column '{self.name}': '{self.stray[:60]}' stands among numbers "
            f"({self.numbers} of {self.cells - self.missing} cells). If it means that a value is missing, add it to "
            f"missing_values; if the column holds categories, declare categorical=[{self.name}]; or leave the column "
            f"out: drop=[{self.name}]."
        )


def as_floats(array: "pa.Array") -> "pa.Array | None":
    """Return texts as numbers float64; None where one is not written as computers write numbers."""
    try:
        array.slice(0, FIRST).cast(pa.float64())  # a cast that fails takes long: Arrow describes every fault
        return array.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def padded(texts: "pa.StringArray", at: np.ndarray) -> int:
    """Return how many of the texts at some places, all of them whole numbers, are digits that begin with a zero."""
    if not len(at):
        return 0
    _, ends, data = texts.buffers()
    bounds = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    starts, lengths = bounds[at], bounds[at + 1] - bounds[at]
    begins = at[(np.frombuffer(data, np.uint8)[starts] == ord("0")) & (lengths > 1)]
    return pc.sum(pc.match_substring_regex(texts.take(pa.array(begins)), r"^0\d+$")).as_py() or 0


@dataclass(frozen=True)
class Profile:
    """The number of rows of a file, and what its columns hold."""

    rows: int
    columns: Mapping[str, ColumnProfile]


class Profiling:
    """What some columns of a file hold, as far as its rows were seen; a type other than text declares it.

    Raises:
        UserError: the file cannot be read.
    """

    def __init__(self, file: TableFile, columns: Sequence[str]) -> None:
        self._file, self.rows = file, 0
        self._columns = {name: ColumnProfile(name, file.path) for name in columns}
        for name, kind in file.types.items():
            if name in self._columns and not is_text(kind):
                declared = "text" if holds_codes(file, name, kind) else declared_kind(kind)
                self._columns[name].declared = declared
        self.scanned = [name for name, column in self._columns.items() if not column.declared]

    def add(self, first: int, batch: "pa.RecordBatch") -> "dict[str, pa.Array]":
        """Take in the next rows; return what `ColumnProfile.add` does, for each column that is scanned."""
        self.rows = first + batch.num_rows
        how = self._file.options.notation
        return {name: self._columns[name].add(batch.column(name), how, first) for name in self.scanned}

    def fresh(self) -> "Profiling":
        """Return the same before any row was seen."""
        other = copy.copy(self)
        other._columns = {name: replace(each) for name, each in self._columns.items()}
        return other

    def found(self, rows: int | None = None) -> Profile:
        """Return what was found so far; later rows do not change it."""
        columns = {name: replace(each) for name, each in self._columns.items()}
        return Profile(self.rows if rows is None else rows, columns)


def profile(file: TableFile, columns: Sequence[str]) -> Profile:
    """Return what some columns hold, by one pass over the file; Parquet declares the type of all that is not text.

    Raises:
        UserError: the file cannot be read to its end.
    """
    file.check_bytes()
    profiling = Profiling(file, columns)
    if file.num_rows is not None and not profiling.scanned:
        return profiling.found(file.num_rows)
    for first, batch in file.batches(profiling.scanned or file.columns[:1]):
        profiling.add(first, batch)
    return profiling.found()


def holds_codes(file: TableFile, name: str, kind: "pa.DataType") -> bool:
    """Return True for a column of Parquet with whole numbers that float64 cannot tell apart."""
    if kind not in (pa.int64(), pa.uint64()):
        return False
    columns = (batch.column(0).cast(pa.float64(), safe=False) for _, batch in file.batches([name]))
    return any((pc.max(pc.abs(column)).as_py() or 0) > EXACT for column in columns)


def declared_kind(kind: "pa.DataType") -> str:
    """Return what a column of Parquet holds, by its type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "text" if is_text(kind) or pa.types.is_boolean(kind) else f"{kind}"
