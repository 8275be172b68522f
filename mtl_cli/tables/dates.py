"""Dates in texts: ISO 8601, and other orders that a number over 12, a year in front or a month's name tells apart."""

import datetime
import re
from collections.abc import Iterable, Sequence

ORDERS = ("dmy", "mdy")
ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$"
_TIME = r"(?:,?[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(?: ?([aApP])\.?[mM]\.?)?)?"
_ZONE = r"(?: ?(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
_YEAR_FIRST = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
_NUMBERS = r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
_DAY_NAME = r"\d{1,2}(?:st|nd|rd|th)?\.?[- /]+[A-Za-z]{3,9}\.?,?[- /]+\d{4}"
_NAME_DAY = r"[A-Za-z]{3,9}\.?[- /]+\d{1,2}(?:st|nd|rd|th)?,?[- /]+\d{4}"
LIKE_A_DATE = rf"^(?:{_YEAR_FIRST}|{_NUMBERS}|{_DAY_NAME}|{_NAME_DAY}){_TIME}{_ZONE}$"
"""What `day_number` may be able to read; Arrow and Python understand it in the same way."""
_DATE = re.compile(rf"({_YEAR_FIRST}|{_NUMBERS}|{_DAY_NAME}|{_NAME_DAY}){_TIME}{_ZONE}")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
_DAY_MONTH = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.]\d{4}")
MANY, FEWEST = 12, 3
"""Different dates, and different days and months in them, from which on days of 12 at most are hardly chance."""


def day_number(text: str, order: str | None) -> float | None:
    """Return a date as days since 1970-01-01, or None for what is not one.

    A time without a zone counts as UTC. `order` says which of day and month comes first (dmy, mdy) where both are
    numbers before the year; where it is None, such a date is not read.
    """
    found = _DATE.fullmatch(text)
    parts = found and _year_month_day(found[1], order)
    if not found or not parts:
        return None
    hour, minute, second = (int(each or 0) for each in found.group(2, 3, 4))
    if found[6]:  # 12 am is hour 0, 12 pm hour 12
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found[6].lower() == "p" else 0)
    micros = int(f"{found[5] or '':0<6}"[:6])
    try:
        time = datetime.datetime(*parts, hour, minute, second, micros, tzinfo=_zone(found[7]))
        return (time - _EPOCH) / DAY
    except (ValueError, OverflowError):
        return None


def possible_orders(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the orders (dmy, mdy) in which all of the texts are dates."""
    left = list(ORDERS)
    for text in texts:
        left = [order for order in left if day_number(text, order) is not None]
    return tuple(left)


def needs_order(text: str) -> bool:
    """Return True for a date that is read in a way only where the order of day and month is told."""
    return day_number(text, None) is None and any(day_number(text, order) is not None for order in ORDERS)


def may_be_swapped(texts: Sequence[str]) -> bool:
    """Return True for many dates that all are dates too with day and month swapped, as is hardly so by chance."""
    found = [_DAY_MONTH.match(text) for text in texts]
    parts = [(int(each[1]), int(each[2])) for each in found if each]
    if len(parts) < max(MANY, len(texts)) or max(map(max, parts)) > 12:
        return False
    return all(len(set(each)) >= FEWEST for each in zip(*parts, strict=True))


def _year_month_day(text: str, order: str | None) -> tuple[int, int, int] | None:
    parts = [part for part in re.split(r"[-/., ]+", text) if part]
    if len(parts[0]) == 4 and parts[0].isdigit():
        return int(parts[0]), int(parts[1]), int(parts[2])
    first, second, year = parts
    if first[0].isalpha() or second[0].isalpha():
        name, day = (first, second) if first[0].isalpha() else (second, first)
        months = [number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name.lower())]
        whole = name.lower() in ("sept",) or len(name) == 3 or name.lower() in _MONTHS
        return (int(year), months[0], int(re.sub(r"\D", "", day))) if len(months) == 1 and whole else None
    if order is None:
        return None
    day, month = (first, second) if order == "dmy" else (second, first)
    return int(year), int(month), int(day)


def _zone(text: str | None) -> datetime.timezone:
    if text is None or text in ("Z", "UTC", "GMT"):
        return datetime.UTC
    digits = text[1:].replace(":", "")
    offset = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return datetime.timezone(-offset if text[0] == "-" else offset)
