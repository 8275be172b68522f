"""How the cells of a file write numbers and dates, and what a cell without a value holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtl_cli.tables.arrow import pa, pc
from mtl_cli.tables.dates import ISO, LIKE_A_DATE, day_number

NUMBER = r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])$"
_ALIKE = {
    " ": "[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]",
    "'": "['\N{RIGHT SINGLE QUOTATION MARK}]",
}
"""What counts as a sign between thousands beside that sign itself."""
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Notation:
    """How numbers and dates are written; `missing` are the texts of cells without a value.

    `number_signs` stand before or after numbers and are left out: $1,200 with thousands="," is 1200, and 7.5 % is 7.5.
    """

    missing: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str | None = None
    number_signs: tuple[str, ...] = ()
    date_order: str | None = None

    def with_missing(self, values: Sequence[str]) -> "Notation":
        """Return the same notation with further texts of cells without a value."""
        return replace(self, missing=(*self.missing, *values)) if values else self

    @property
    def is_plain(self) -> bool:
        """True where numbers are written as computers write them."""
        return self.decimal == "." and self.thousands is None and not self.number_signs

    @property
    def number(self) -> str:
        """The pattern of a number, without signs of units."""
        if self.decimal == "." and self.thousands is None:
            return NUMBER
        point = re.escape(self.decimal)
        between = None if self.thousands is None else _ALIKE.get(self.thousands, re.escape(self.thousands))
        whole = r"\d+" if between is None else rf"(\d+|\d{{1,3}}({between}\d{{3}})+)"
        written = rf"[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
        plain = "" if self.thousands == "." else f"|({NUMBER[1:-1]})"  # 1.5 stays 1.5 unless the point parts thousands
        return rf"^(({written}){plain})$"

    @property
    def is_number(self) -> "re.Pattern[str]":
        """The pattern of a number with its sign of a unit, for single texts."""
        signs = "|".join(map(re.escape, self.number_signs))
        return re.compile(self.number if not signs else rf"^([+-]?({signs})?\s*){self.number[1:-1]}(\s*({signs}))?$")

    def trimmed(self, array: "pa.Array") -> "pa.Array":
        """Return texts without the space around them, and null where they say that a value is missing."""
        array = pc.utf8_trim_whitespace(array.cast(pa.string()))
        absent = pc.is_in(array, value_set=pa.array([value.strip() for value in self.missing], pa.string()))
        return pc.if_else(absent, pa.scalar(None, pa.string()), array)

    def without_signs(self, array: "pa.Array") -> "pa.Array":
        """Return trimmed texts of numbers without the signs of units, and with - for a typographic minus."""
        array = pc.replace_substring(array, MINUS, "-")
        if self.number_signs:
            signs = "|".join(map(re.escape, self.number_signs))
            array = pc.replace_substring_regex(array, rf"^([+-]?)(?:{signs})[\s\x{{a0}}\x{{202f}}]*", r"\1")
            array = pc.replace_substring_regex(array, rf"[\s\x{{a0}}\x{{202f}}]*(?:{signs})$", "")
        return array

    def numbers(self, array: "pa.Array") -> "pa.Array":
        """Return the numbers float64 of texts that are all of the pattern `number`."""
        if self.thousands is not None:
            array = pc.replace_substring_regex(array, _ALIKE.get(self.thousands, re.escape(self.thousands)), "")
        if self.decimal != ".":
            array = pc.replace_substring(array, self.decimal, ".")
        return pc.replace_substring_regex(array, r"^\+", "").cast(pa.float64())

    def sign_fault(self, array: "pa.Array") -> int | None:
        """Return where the first of the trimmed texts stands whose sign of a unit differs from those before it."""
        if not self.number_signs:
            return None
        sign = np.zeros(len(array), dtype=np.int64)
        for index, each in enumerate(sorted(self.number_signs, key=len), start=1):  # cm after m, which it ends with
            there = pc.or_(pc.starts_with(array, each), pc.ends_with(array, each))
            there = pc.or_(there, pc.match_substring_regex(array, rf"^[+-]{re.escape(each)}"))
            sign[there.fill_null(False).to_numpy(zero_copy_only=False)] = index
        present = np.flatnonzero(pc.is_valid(array).to_numpy(zero_copy_only=False))
        other = present[sign[present] != sign[present[0]]] if present.size else present
        return int(other[0]) if other.size else None

    def dates(self, values: Sequence[str | None]) -> np.ndarray:
        """Return texts as days since 1970-01-01, float64 [n]; NaN where one is null or not a date."""
        found = (None if value is None else day_number(value, self.date_order) for value in values)
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

    def are_dates(self, values: "pa.Array") -> "pa.Array":
        """Return, for distinct trimmed texts, whether each is a date; false for null."""
        perhaps = pc.match_substring_regex(values, LIKE_A_DATE).fill_null(False)
        iso = pc.match_substring_regex(values, ISO).fill_null(False)
        if not pc.any(pc.and_not(perhaps, iso)).as_py():
            return iso
        others = pc.filter(values, pc.and_not(perhaps, iso)).to_pylist()
        readable = pa.array([v for v, day in zip(others, self.dates(others), strict=True) if day == day], pa.string())
        return pc.or_(iso, pc.is_in(values, value_set=readable))
