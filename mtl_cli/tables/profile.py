"""What the columns of a file hold, found by one pass over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa, pc
from mtl_cli.tables.cells import DATE, NUMBER, is_text, trimmed
from mtl_cli.tables.reading import TableFile

MOSTLY = 0.5
"""Share of numbers from which a column that also holds other text counts as a column of numbers with a fault."""


@dataclass
class ColumnProfile:
    """Counts of one column's cells; `stray` and `stray_row` are its first text that is not a number."""

    name: str
    path: Path
    cells: int = 0
    missing: int = 0
    numbers: int = 0
    dates: int = 0
    stray: str = ""
    stray_row: int = -1
    declared: str = ""

    @property
    def kind(self) -> str:
        """number, date, text, mixed (mostly numbers, with text among them) or empty."""
        present = self.cells - self.missing
        if self.declared or not present:
            return self.declared or "empty"
        if present in (self.numbers, self.dates):
            return "number" if present == self.numbers else "date"
        return "mixed" if self.numbers >= MOSTLY * present else "text"

    def add(self, array: "pa.Array", missing: Sequence[str], first_row: int) -> None:
        """Take in the text of a batch."""
        self.cells += len(array)
        try:
            array.cast(pa.float64())
        except pa.ArrowInvalid:
            array = trimmed(array, missing)
        else:
            self.numbers += len(array) - array.null_count
            self.missing += array.null_count
            return
        self.missing += array.null_count
        counted = array.value_counts()
        values, counts = counted.field(0), counted.field(1)
        is_number = pc.match_substring_regex(values, NUMBER).fill_null(True)
        present = pc.is_valid(values)
        self.numbers += pc.sum(pc.filter(counts, pc.and_(is_number, present))).as_py() or 0
        self.dates += pc.sum(pc.filter(counts, pc.match_substring_regex(values, DATE).fill_null(False))).as_py() or 0
        if self.stray_row < 0 and not pc.all(is_number).as_py():
            at = pc.index(pc.match_substring_regex(array, NUMBER).fill_null(True), False).as_py()
            self.stray, self.stray_row = array[at].as_py(), first_row + at

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
            found[name].declared = declared_kind(kind)
    scanned = [name for name, column in found.items() if not column.declared]
    if file.num_rows is not None and not scanned:
        return Profile(file.num_rows, found)
    rows = 0
    for first_row, batch in file.batches(scanned or file.columns[:1]):
        rows = first_row + batch.num_rows
        for name in scanned:
            found[name].add(batch.column(name), file.options.missing, first_row)
    return Profile(rows, found)


def declared_kind(kind: "pa.DataType") -> str:
    """Return what a column of Parquet holds, by its type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "text" if is_text(kind) or pa.types.is_boolean(kind) else f"{kind}"
