"""How a file writes numbers and dates, and which words stand for a missing one, found by looking at its texts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mtl_cli.errors import UserError
from mtl_cli.init.asked import Asked
from mtl_cli.init.cell_texts import Texts, absent_words, look_at, told_words
from mtl_cli.init.header import check_names, check_second_header
from mtl_cli.init.quantities import unread
from mtl_cli.init.thousands import check_points
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import is_text
from mtl_cli.tables.dates import ORDERS, day_number, possible_orders
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.profile import Profile, profile
from mtl_cli.tables.reading import ReadOptions, TableFile

Way = tuple[str, str | None]
"""Signs before the fraction and between thousands."""
WAYS: list[Way] = [(".", None), (",", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'")]
"""Signs before the fraction and between thousands, the usual ones first."""
LETTERS = r"°?[^\W\d_]{1,6}(/[^\W\d_]{1,3})?[²³]?"
UNIT = re.compile(rf"^[+-]?\s*(?P<before>[^\d\s+-])\s*[+-]?[\d.,]|[\d.,]\s*(?P<after>{LETTERS}|\D)$")
PERCENT = "%‰°"
FEWEST_IN_UNITS = 12
"""Different numbers from which on letters behind them are a unit (5.2 kg); those of fewer may be names (2D, 3D)."""
SHORT_YEAR = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2}")


@dataclass(frozen=True)
class Written:
    """A file read in the notation that its texts show, what its columns then hold, and what was found, in words.

    `missing` are, by column of a target, words among its numbers that stand for no label.
    """

    file: TableFile
    profile: Profile
    missing: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def written(file: TableFile, columns: Sequence[str], asked: Asked) -> Written:
    """Return a file read in the notation that the texts of some of its columns show.

    Words among numbers count as missing in the whole file, except for labels of a target with classes. Those in the
    first column of a target count as missing for its labels.

    Raises:
        UserError: numbers or dates have two meanings; it says how to tell which.
    """
    found = profile(file, columns)
    check_names(file, found.columns)
    check_second_header(file, found.columns)
    if not asked.told & {"decimal", "thousands"}:
        check_points(file, [n for n in columns if found.columns[n].kind == "number"])
    unread = [n for n in columns if found.columns[n].kind in ("text", "mixed") and not found.columns[n].is_code]
    types = file.types
    mixed = {name for name in unread if found.columns[name].kind == "mixed"}
    texts = [each for each in look_at(file, [n for n in unread if is_text(types[n])], mixed) if each.counts]
    if not texts:
        return Written(file, found, {}, ())
    plain = [n for n in columns if found.columns[n].kind == "number"]
    options, notes = numbers_of(file, texts, plain, asked.told)
    options, more = dates_of(file, texts, options, asked.told)
    words = absent_words(texts, options.notation)
    firsts = {columns[0] for columns in asked.targets.values()}
    labels = {label for each in texts if each.name in asked.answers and each.name not in words for label in each.counts}
    absent = {word: None for name in words if name not in firsts for word in words[name] if word not in labels}
    missing = {name: tuple(each) for name, each in words.items() if name in firsts}
    options = replace(options, missing_values=(*options.missing_values, *absent))
    said = (*notes, *more, *told_words(words, labels))
    if options == file.options:
        return Written(file, found, missing, said)
    again = type(file)(file.path, options)
    fresh = profile(again, [each.name for each in texts])
    held = {**found.columns, **fresh.columns}
    return Written(again, Profile(found.rows, held), missing, said)


def numbers_of(
    file: TableFile, texts: Sequence[Texts], plain: Sequence[str], told: frozenset[str]
) -> tuple[ReadOptions, list[str]]:
    """Return the options by which the texts that are numbers are read, and what was found.

    Raises:
        UserError: a comma may stand before a fraction or between thousands.
    """
    options, ways = file.options, WAYS
    if told & {"decimal", "thousands"}:
        ways = [(options.decimal, options.thousands)]
    patterns = {way: Notation(decimal=way[0], thousands=way[1]).is_number for way in ways}
    if "number_signs" not in told:
        for each in texts:
            each.unit = unit_of(each, patterns)
    numeric = [each for each in texts if any(each.fits(each.strays(pattern)) for pattern in patterns.values())]
    units = tuple(dict.fromkeys(each.unit for each in numeric if each.unit))
    odd = [each for each in numeric if not each.fits(each.strays(patterns[ways[0]]))]
    way, asked = ways[0], ""
    if odd:
        points = points_of(file, plain)
        way, asked = way_of(odd, [each for each in numeric if each not in odd], points, patterns, file.delimiter)
    if asked:
        raise UserError(asked.replace("FILE", str(file.path)))
    notes = []
    if way != (options.decimal, options.thousands):
        options = replace(options, decimal=way[0], thousands=way[1])
        between = f", '{way[1]}' between thousands" if way[1] else ""
        such = ", ".join(f"{each.name}: {next(iter(each.counts))}" for each in odd[:3])
        notes.append(f"'{way[0]}' stands before fractions{between} ({such})")
    notes += unread([each for each in texts if each not in numeric])
    if units:
        options = replace(options, number_signs=units)
        notes += [f"{each.name}: numbers with {each.unit}, which is left out" for each in numeric if each.unit]
    return options, notes


def unit_of(texts: Texts, patterns: Mapping[Way, "re.Pattern[str]"]) -> str:
    """Return the sign of a currency or percent that all numbers of a column carry, or an empty text."""
    units = {text: sign_of(text, len(texts.counts) >= FEWEST_IN_UNITS) for text in texts.counts}
    signs = {unit for unit in units.values() if unit}
    if len(signs) != 1:
        return ""
    bare = [text for text, unit in units.items() if not unit]
    return "" if any(p.fullmatch(text) for text in bare for p in patterns.values()) else signs.pop()


def sign_of(text: str, letters: bool) -> str:
    """Return the sign of a currency or percent before or after a number, or `letters` of a unit after it."""
    found = UNIT.search(text)
    sign = (found["before"] or found["after"] or "") if found else ""
    if len(sign) == 1 and (unicodedata.category(sign) == "Sc" or sign in PERCENT):
        return sign
    return sign if letters and found and found["after"] and sign[-1] not in ".,;:)" else ""


def way_of(
    odd: Sequence[Texts],
    others: Sequence[Texts],
    points: Sequence[str],
    patterns: Mapping[Way, "re.Pattern[str]"],
    delimiter: str,
) -> tuple[Way, str]:
    """Return the signs before fractions and between thousands that fit all numbers, and a question if two do.

    Args:
        odd: columns of numbers that are not written as computers write them.
        others: columns of such numbers with words or units among them.
        points: numbers of other columns that have a point.
        patterns: what numbers look like, by those signs.
        delimiter: what parts the cells.
    """
    fitting = [way for way, p in patterns.items() if all(e.fits(e.strays(p)) for e in odd)]
    fitting = [way for way in fitting if all(patterns[way].fullmatch(text) for text in points)]
    fitting = [way for way in fitting if all(e.fits(e.strays(patterns[way])) for e in others)]
    if not fitting:
        return (".", None), ""
    first, other = (",", None), (".", ",")
    if {first, other} <= set(fitting):
        if any(not re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", text) for text in points):
            return other, ""  # a point stands before fractions already
        if delimiter == ";" or any(e.plain(text).lstrip("+-").startswith("0,") for e in odd for text in e.counts):
            return first, ""
        such = next(text for text in odd[0].counts if "," in text)
        return first, (
            f"FILE, column '{odd[0].name}': the comma in '{such}' may stand before a fraction or between thousands. "
            """Say which: mtl-init … "decimal=','" or mtl-init … "thousands=','"."""
        )
    return fitting[0], ""


def points_of(file: TableFile, names: Sequence[str]) -> list[str]:
    """Return numbers with a point of columns in the first rows, not too many of them."""
    found: list[str] = []
    for _, batch in file.batches(names) if names and file.is_text else ():
        for column in batch.columns:
            if pa.types.is_string(column.type):
                found += [text.strip() for text in column.to_pylist()[:500] if text and "." in text]
        break
    return found


def dates_of(
    file: TableFile, texts: Sequence[Texts], options: ReadOptions, told: frozenset[str]
) -> tuple[ReadOptions, list[str]]:
    """Return the options by which dates with day and month before the year are read, and what was found.

    Raises:
        UserError: day or month may come first, or the columns differ in that.
    """
    orders: dict[str, tuple[str, ...]] = {}
    notes = []
    for each in texts:
        read = {order: {t for t in each.counts if day_number(t, order) is not None} for order in (None, *ORDERS)}
        dates = read["dmy"] | read["mdy"]
        if dates - read[None] and each.fits(Counter({t: n for t, n in each.counts.items() if t not in dates})):
            orders[each.name] = possible_orders(dates)
        if all(map(SHORT_YEAR.fullmatch, each.counts)):
            notes.append(f"{each.name}: dates such as {next(iter(each.counts))} are not read; write years in full")
    if not orders or "date_order" in told:
        return options, notes
    for name, possible in orders.items():
        if not possible:
            notes.append(f"{name}: in some of the dates the day comes first, in others the month; they are not read")
    clear = {name: possible[0] for name, possible in orders.items() if len(possible) == 1}
    unclear = [name for name, possible in orders.items() if len(possible) == 2]
    if len(set(clear.values())) > 1:
        one, other = (next(n for n, order in clear.items() if order == each) for each in ORDERS)
        raise UserError(
            f"{file.path}: the day comes first in the dates of '{one}', the month in those of '{other}'. Leave one of "
            f"them out: mtl-init … 'drop=[{other}]'."
        )
    if unclear and not clear:
        such = next(iter(next(each for each in texts if each.name == unclear[0]).counts))
        raise UserError(
            f"{file.path}, column '{unclear[0]}': day or month may come first in dates such as {such}. Say which: "
            "mtl-init … date_order=dmy or mtl-init … date_order=mdy."
        )
    if not clear:
        return options, notes
    name, order = next(iter(clear.items()))
    first = "day" if order == "dmy" else "month"
    notes.append(f"the {first} comes first in dates, as those of {name} show")
    return replace(options, date_order=order), notes
