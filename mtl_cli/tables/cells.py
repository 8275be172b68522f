"""Cells of a column as numbers or as categories, however they are stored; errors name the row at fault."""

import datetime
import re
from collections.abc import Sequence

import numpy as np

from mtl_cli.tables.arrow import pa, pc
from mtl_cli.tables.place import Place, canonical

NUMBER = r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])$"
DATE = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$"
LARGEST = float(np.finfo(np.float32).max)
MICROSECONDS_A_DAY = 86_400e6
KINDS = ("number", "date", "text")


def number_cells(array: "pa.Array", missing: Sequence[str], place: Place) -> np.ndarray:
    """Return numbers float64 [B], NaN where a cell is missing.

    Raises:
        UserError: a cell is not a number, or is infinite.
    """
    array = decoded(array)
    was_text = is_text(array.type)
    if pa.types.is_temporal(array.type):
        return date_cells(array, missing, place)
    if was_text:
        array = _parsed(array, missing, place)
    elif pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    elif not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or is_odd_number(array.type)):
        raise place.error(0, f"cells of type {array.type} are not numbers", f"Leave the column out: {drop(place)}")
    values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    for sentinel in missing:
        if re.match(NUMBER, sentinel) and np.isfinite(float(sentinel)):
            values[values == float(sentinel)] = np.nan
    if (endless := np.flatnonzero(np.abs(values) > LARGEST)).size:
        at = int(endless[0])
        fix = "If it stands for a missing value, add it to missing_values" if was_text else "Fix the cell"
        found = f"{values[at]} is infinite, or beyond what float32 can hold"
        raise place.error(at, found, f"{fix}, or leave the column out: {drop(place)}.")
    return values


def date_cells(array: "pa.Array", missing: Sequence[str], place: Place) -> np.ndarray:
    """Return dates as days since 1970-01-01, float64 [B], NaN where a cell is missing; ISO 8601 where they are text.

    Raises:
        UserError: a cell is not a date.
    """
    array = decoded(array)
    if is_text(array.type):
        array = trimmed(array, missing)
        try:
            array = array.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            bad = next(
                index for index, value in enumerate(array.to_pylist()) if value is not None and not is_date(value)
            )
            fix = f"A date is like 2024-01-31 or 2024-01-31 18:30. Or declare categorical=[{place.column}]"
            raise place.error(bad, f"'{array[bad]}' is not a date", f"{fix}.") from None
    elif pa.types.is_time(array.type) or pa.types.is_duration(array.type):
        raise place.error(0, f"cells of type {array.type} are not dates", f"Leave the column out: {drop(place)}")
    micros = array.cast(pa.timestamp("us", tz=getattr(array.type, "tz", None)), safe=False)
    values = micros.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values.astype(np.float64) / MICROSECONDS_A_DAY


def category_cells(array: "pa.Array", missing: Sequence[str], place: Place) -> tuple[np.ndarray, list[str]]:
    """Return the codes int64 [B] of cells and the canonical values that they number; -1 where a cell is missing.

    Raises:
        UserError: cells are of a type that cannot be categories.
    """
    array = decoded(array)
    if not is_text(array.type):
        if pa.types.is_nested(array.type) or pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
            raise place.error(
                0, f"cells of type {array.type} are not categories", f"Leave the column out: {drop(place)}"
            )
        if pa.types.is_floating(array.type):
            array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        array = array.cast(pa.string())
    encoded = array.dictionary_encode()
    values = [canonical(value) for value in encoded.dictionary.to_pylist()]
    absent = {value.strip() for value in missing}
    known: dict[str, int] = {}
    lookup = np.array([-1 if v in absent else known.setdefault(v, len(known)) for v in values] + [-1], dtype=np.int64)
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return lookup[codes], list(known)


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


def is_date(text: str) -> bool:
    """Return True for a text that is a date as files write it."""
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return re.match(DATE, text) is not None


def trimmed(array: "pa.Array", missing: Sequence[str]) -> "pa.Array":
    """Return texts without the space around them, and null where they say that a value is missing."""
    array = pc.utf8_trim_whitespace(array.cast(pa.string()))
    absent = pc.is_in(array, value_set=pa.array([value.strip() for value in missing], pa.string()))
    return pc.if_else(absent, pa.scalar(None, pa.string()), array)


def drop(place: Place) -> str:
    """Return the override that leaves a column out."""
    return f"drop=[{place.column}]"


def _parsed(array: "pa.Array", missing: Sequence[str], place: Place) -> "pa.Array":
    """Return text as numbers."""
    try:
        return array.cast(pa.float64())
    except pa.ArrowInvalid:
        array = pc.replace_substring_regex(trimmed(array, missing), r"^\+", "")
    try:
        return array.cast(pa.float64())
    except pa.ArrowInvalid:
        good = pc.match_substring_regex(array, NUMBER).fill_null(True)
        bad = pc.index(good, False).as_py()
        assert bad >= 0, "the pattern of numbers is what Arrow reads"
        fix = "If it stands for a missing value, add it to missing_values; else declare "
        fix += f"categorical=[{place.column}], or {drop(place)}"
        raise place.error(bad, f"'{array[bad]}' is not a number", f"{fix}.") from None
