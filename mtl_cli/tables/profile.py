"""What the columns of a file hold, found by one pass over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass
class ColumnProfile:
    """Counts of one column's cells; `stray` and `stray_row` are its first text that is not a number.

    `codes` are whole numbers that are not quantities: they begin with a zero (02134), or are too large for float64 to
    tell them apart. `fractions` are all numbers but whole ones.
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

    def add(self, array: "pa.Array", how: Notation, first_row: int) -> None:
        """Take in the text of a batch."""
        self.cells += len(array)
        try:
            numbers = array.cast(pa.float64())
        except pa.ArrowInvalid:
            self._add_texts(how.trimmed(array), how, first_row)
            return
        self.numbers += len(array) - array.null_count
        self.missing += array.null_count
        self._count_codes(array, numbers.to_numpy(zero_copy_only=False))

    def _add_texts(self, array: "pa.Array", how: Notation, first_row: int) -> None:
        """Take in trimmed texts, of which some are not numbers as computers write them."""
        self.missing += array.null_count
        counted = array.value_counts()
        values, counts = counted.field(0), counted.field(1)
        numbers = how.without_signs(values)
        is_number = pc.match_substring_regex(numbers, how.number).fill_null(True)
        there = pc.and_(is_number, pc.is_valid(values))
        self.numbers += pc.sum(pc.filter(counts, there)).as_py() or 0
        self.dates += pc.sum(pc.filter(counts, how.are_dates(values))).as_py() or 0
        written = pc.filter(numbers, there)
        self._count_codes(written, how.numbers(written).to_numpy(zero_copy_only=False))
        if self.stray_row < 0 and not pc.all(is_number).as_py():
            at = pc.index(pc.is_in(array, value_set=pc.filter(values, pc.invert(is_number))), True).as_py()
            self.stray, self.stray_row = array[at].as_py(), first_row + at

    def _count_codes(self, texts: "pa.Array", numbers: np.ndarray) -> None:
        """Count codes and fractions among texts that are numbers."""
        whole = np.trunc(numbers) == numbers
        self.fractions += int((~(whole & np.isfinite(numbers)) & ~np.isnan(numbers)).sum())
        if whole.any():
            padded = pc.match_substring_regex(pc.filter(texts, pa.array(whole)), r"^0\d+$")
            self.codes += pc.sum(padded).as_py() or 0
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


@dataclass(frozen=True)
class Profile:
    """The number of rows of a file, and what its columns hold."""

    rows: int
    columns: Mapping[str, ColumnProfile]


def profile(file: TableFile, columns: Sequence[str]) -> Profile:
    """Return what some columns hold, by one pass over the file; Parquet declares the type of all that is not text.

    Raises:
        UserError: the file cannot be read to its end.
    """
    file.check_quotes()
    found = {name: ColumnProfile(name, file.path) for name in columns}
    for name, kind in file.types.items():
        if name in found and not is_text(kind):
            found[name].declared = "text" if holds_codes(file, name, kind) else declared_kind(kind)
    scanned = [name for name, column in found.items() if not column.declared]
    if file.num_rows is not None and not scanned:
        return Profile(file.num_rows, found)
    rows, how = 0, file.options.notation
    for first_row, batch in file.batches(scanned or file.columns[:1]):
        rows = first_row + batch.num_rows
        for name in scanned:
            found[name].add(batch.column(name), how, first_row)
    return Profile(rows, found)


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
