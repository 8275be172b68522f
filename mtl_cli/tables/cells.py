"""Cells of a column as numbers or as categories, however they are stored; errors name the row at fault."""

import logging
import re

import numpy as np

from mtl_cli.tables.arrow import pa, pc
from mtl_cli.tables.dates import may_be_swapped, needs_order
from mtl_cli.tables.notation import NUMBER, Notation
from mtl_cli.tables.place import Place, canonical

logger = logging.getLogger("mtl_cli")

LARGEST = float(np.finfo(np.float32).max)
MICROSECONDS_A_DAY = 86_400e6


def number_cells(array: "pa.Array", how: Notation, place: Place) -> np.ndarray:
    """Return numbers float64 [B], NaN where a cell is missing.

    Raises:
        UserError: a cell is not a number, or is infinite.
    """
    array = decoded(array)
    was_text = is_text(array.type)
    if pa.types.is_temporal(array.type):
        return date_cells(array, how, place)
    if was_text:
        array = _parsed(array, how, place)
    elif pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    elif not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or is_odd_number(array.type)):
        raise place.error(0, f"cells of type {array.type} are not numbers", f"Leave the column out: {drop(place)}")
    values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    for sentinel in how.missing:
        if re.match(NUMBER, sentinel) and np.isfinite(float(sentinel)):
            values[values == float(sentinel)] = np.nan
    if (endless := np.flatnonzero(np.abs(values) > LARGEST)).size:
        at = int(endless[0])
        fix = "If it stands for a missing value, add it to missing_values" if was_text else "Fix the cell"
        found = f"{values[at]} is infinite, or beyond what float32 can hold"
        raise place.error(at, found, f"{fix}, or leave the column out: {drop(place)}.")
    return values


def date_cells(array: "pa.Array", how: Notation, place: Place) -> np.ndarray:
    """Return dates as days since 1970-01-01, float64 [B], NaN where a cell is missing.

    Raises:
        UserError: a cell is not a date.
    """
    array = decoded(array)
    if is_text(array.type):
        array = how.trimmed(array)
        try:
            array = array.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:  # other dates than those of ISO 8601 without a zone
            return _parsed_dates(array, how, place)
    elif not (pa.types.is_timestamp(array.type) or pa.types.is_date(array.type) or pa.types.is_null(array.type)):
        raise place.error(0, f"cells of type {array.type} are not dates", f"Leave the column out: {drop(place)}")
    micros = array.cast(pa.timestamp("us", tz=getattr(array.type, "tz", None)), safe=False)
    values = micros.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values.astype(np.float64) / MICROSECONDS_A_DAY


def category_cells(array: "pa.Array", how: Notation, place: Place) -> tuple[np.ndarray, list[str]]:
    """Return the codes int64 [B] of cells and the canonical values that they number; -1 where a cell is missing.

    Raises:
        UserError: cells are of a type that cannot be categories.
    """
    array = decoded(array)
    if not is_text(array.type):
        if pa.types.is_nested(array.type) or pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
            fix = f"Leave the column out: {drop(place)}. Or, if it holds labels, write each cell as a text: a;b"
            raise place.error(0, f"cells of type {array.type} are not categories", fix)
        if pa.types.is_floating(array.type):
            array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        array = without_zeros(array.cast(pa.string())) if is_odd_number(array.type) else array.cast(pa.string())
    return numbered(array.dictionary_encode(), how)


def numbered(encoded: "pa.DictionaryArray", how: Notation) -> tuple[np.ndarray, list[str]]:
    """Return what `category_cells` does, of texts that are encoded by a dictionary of their own."""
    values = [canonical(value) for value in encoded.dictionary.to_pylist()]
    absent = {value.strip() for value in how.missing}
    known: dict[str, int] = {}
    lookup = np.array([-1 if v in absent else known.setdefault(v, len(known)) for v in values] + [-1], dtype=np.int64)
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return lookup[codes], list(known)


def without_zeros(array: "pa.Array") -> "pa.Array":
    """Return decimals such as 1.50 as floats are written, 1.5."""
    return pc.replace_substring_regex(array, r"(\.\d*?[1-9])0+$", r"\1")


def decoded(array: "pa.Array") -> "pa.Array":
    """Return an array with its values themselves, if it is encoded by a dictionary."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def is_text(kind: "pa.DataType") -> bool:
    """True for types of text, and for columns that hold nothing but missing values."""
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def is_odd_number(kind: "pa.DataType") -> bool:
    """Return True for decimals."""
    return pa.types.is_decimal(kind)


def drop(place: Place) -> str:
    """Return the override that leaves a column out."""
    return f"drop=[{place.column}]"


def _parsed(array: "pa.Array", how: Notation, place: Place) -> "pa.Array":
    """Return text as numbers."""
    if how.is_plain:
        try:
            return array.cast(pa.float64())
        except pa.ArrowInvalid:
            pass
    array = how.trimmed(array)
    texts = how.without_signs(array)
    bad = pc.index(pc.match_substring_regex(texts, how.number).fill_null(True), False).as_py()
    if bad >= 0:
        fix = "If it stands for a missing value, add it to missing_values; else declare "
        fix += f"categorical=[{place.column}], or {drop(place)}"
        raise place.error(bad, f"'{array[bad]}' is not a number", f"{fix}.")
    if (other := how.sign_fault(array)) is not None:
        fix = f"Write all cells in one unit, or leave the column out: {drop(place)}."
        raise place.error(other, f"'{array[other]}' has another unit than the cells before it", fix)
    return how.numbers(texts)


def _parsed_dates(array: "pa.Array", how: Notation, place: Place) -> np.ndarray:
    """Return trimmed texts as days since 1970-01-01; every different text is read once."""
    encoded = array.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    if place.fitted and place.first_row == 0 and may_be_swapped(values):
        logger.warning(
            "%s, column '%s': of all dates, such as %s, day and month are 12 at most. They are read with the %s first, "
            "as those of the training file. Is it so here?",
            place.path, place.column, values[0], {"dmy": "day"}.get(str(how.date_order), "month"),
        )  # fmt: skip
    days = np.append(how.dates(values), np.nan)
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    if (wrong := np.flatnonzero(np.isnan(days[codes]) & (codes < len(values)))).size:
        text = values[codes[wrong[0]]]
        fix = f"A date is like 2024-01-31 or 2024-01-31 18:30. Or declare categorical=[{place.column}]."
        if text.startswith("0000-00-00"):
            fix = "It stands for no date: leave these cells empty in the file."
        if needs_order(text):
            fix = "Day or month may come first. Say which: date_order=dmy or date_order=mdy."
        raise place.error(int(wrong[0]), f"'{text}' is not a date", fix)
    return days[codes]
