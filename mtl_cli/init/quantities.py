"""Texts that are quantities in a form that is not read as a number, and what to write in its place."""

import re
from collections.abc import Iterable, Mapping, Sequence

from mtl_cli.init.cell_texts import MOST, Texts
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.tables.dates import ORDERS, day_number

FEWEST = 12
"""Different texts from which on they are quantities: those of fewer may be names (2D, 3D; 10-20)."""
ROWS_EACH = 5
"""Rows per text, on average, below which labels that are quantities cannot be learnt as classes."""
DIGITS = r"(?:\d{1,3}(?:[., '\u00a0\u202f]\d{3})+|\d+)(?:[.,]\d+)?(?:[eE][+-]?\d+)?"
NUMBER = rf"[+\-\u2212]?{DIGITS}"
MONEY = r"(?:[$€£¥₹]|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|PLN|CZK|HUF|SEK|NOK|DKK|BRL|RUB|TRY|KRW)"
UNIT = r"(?:%|[kKMBGT]|[Mm]io\.?|[Mm]rd\.?|bn|[µmcdkM]?[gLlmsVWA]|lbs?|oz|in|ft)"
FORMS = {
    "-5 for a number below zero": rf"\({MONEY}?\s?{DIGITS}%?\)|{MONEY}?\s?{DIGITS}-|{DIGITS} ?(?:CR|DR|Cr|Dr)",
    "the number alone, and what stands beside it into a column of its own": rf"[<>≤≥~≈]=?\s?{NUMBER}|{NUMBER} ?[*†‡]+",
    "a number of seconds or hours": (
        r"-?\d+:[0-5]\d(?::[0-5]\d)?(?:[.,]\d+)?|(?:\d+(?:\.\d+)? ?(?:d|h|hrs?|m|mins?|s|secs?) ?){2,}|"
        r"PT?(?:\d+(?:\.\d+)?[DTHMS]{1,2})+"
    ),
    "the numbers into columns of their own": (
        rf"[\[(]?{NUMBER}(?:\s?[,;|]\s?{NUMBER})+[\])]?|{DIGITS} ?(?:-|–|to|\.\.|/|:|x|×) ?{DIGITS}|"
        rf"{NUMBER} ?(?:±|\+/-) ?{DIGITS}|{NUMBER} ?\({NUMBER}\)"
    ),
    "1.5e-9 for a power of ten": rf"{NUMBER} ?[x×*·] ?10 ?\^?\(?[+\-\u2212]?\d+\)?",
    "one unit, in decimals": r"""\d+ ?[°º] ?\d+(?:\.\d+)? ?['′’]?.{0,12}|\d+ ?['′’] ?\d+(?:\.\d+)? ?["″”]?""",  # noqa: RUF001
    "digits from 0 to 9, without signs between them": (
        r"0x[\da-fA-F]+|\d{1,3}(?:_\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?|(?=.*[^\x00-\x7f])\d+(?:[.,\u066b]\d+)?"
    ),
    "all numbers in one unit, without its sign": (rf"{MONEY} ?{NUMBER}|{NUMBER} ?(?:{MONEY}|{UNIT})"),
}
"""What to write into the file, and the texts of which that is true."""
PATTERNS = {told: re.compile(form) for told, form in FORMS.items()}
PLAIN = re.compile(NUMBER)


def in_place_of(counts: Mapping[str, int]) -> tuple[str, str]:
    """Return what to write in the place of texts, given with their rows, and one of these; both empty for other texts.

    Nine of ten rows hold a number in one form that is not read, or a plain number beside such ones.
    """
    if len(counts) < FEWEST:
        return "", ""
    plain = {text for text in counts if PLAIN.fullmatch(text) and text.isascii()}
    for told, pattern in PATTERNS.items():
        such = [text for text in counts if text not in plain and pattern.fullmatch(text)]
        if such and sum(counts[text] for text in (*plain, *such)) >= MOST * sum(counts.values()):
            return told, such[0]
    return "", ""


def unread(texts: Sequence[Texts]) -> list[str]:
    """Return, in words, which columns of texts hold quantities that are not read as numbers."""
    found = [(each.name, *in_place_of(each.counts)) for each in texts]
    return [
        f"{name}: texts such as '{text}' are not read as numbers. If they are quantities, write {told}"
        for name, told, text in found
        if told
    ]


def not_classes(column: LabelColumn) -> str:
    """Return why labels of FILE that are quantities or dates are too many to be classes; empty for others."""
    if column.numbers is not None or len(column.values) < FEWEST or ROWS_EACH * column.distinct <= column.present:
        return ""
    told, text = "days since a date, as numbers", column.values[0]
    if not all_dates(column.values):
        told, text = in_place_of(column.counts)
    return told and (
        f"FILE, column '{column.name}': labels such as '{text}' are not read as numbers, and would be "
        f"{column.distinct} classes. Write {told}. If they are names, put a letter before them."
    )


def all_dates(texts: Iterable[str]) -> bool:
    """Return whether all texts are dates, in one order of day and month."""
    return any(all(day_number(text, order) is not None for text in texts) for order in (None, *ORDERS))
