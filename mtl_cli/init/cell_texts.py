"""The different texts of a column, and which of them stand for a missing number or date."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.tables.arrow import pc
from mtl_cli.tables.dates import day_number
from mtl_cli.tables.notation import MINUS, Notation
from mtl_cli.tables.reading import TableFile

SAMPLE_ROWS, MAX_DIFFERENT = 50_000, 50_000
MOST, HALF = 0.9, 0.5
"""Share of numbers from which on any word, and from which on words for a missing value, count as missing."""
MAX_STRAYS = 5
MANY = 20
"""Different numbers from which on a word that no list knows is taken for a missing one, and not for a category."""
SYMBOLS = "? ?? - -- --- . .. ... * (null) \\n <na> #n/a #na #value! #div/0! #null! #num! #ref!"
WORDS = "na n/a n.a. n.a nan none null nil unknown unk missing miss undefined unavailable nodata tbd empty k.a. n.v."
SENTENCES = ("not available", "not applicable", "no data", "not known", "no value", "keine angabe")
LIMITS = "<>≤≥"
"""Signs before the least or the most that could be measured."""
LIST = re.compile(r"\d\s*[;|]\s*\d")
"""Several numbers in one cell, which say something."""
ABSENT = frozenset((*SYMBOLS.split(), *WORDS.split(), *SENTENCES))
"""What files write for a missing value, in small letters."""


@dataclass
class Texts:
    """The different texts of a column in the first rows, with their rows, and what was found out about them."""

    name: str
    counts: Counter[str]
    unit: str = ""
    more: int = 0
    """Rows after the first ones whose text is a number; their texts are not kept."""

    def plain(self, text: str) -> str:
        """Return a text without the sign of the column's unit."""
        text = text.replace(MINUS, "-")
        return re.sub(r"^([+-]?)\s+", r"\1", text.replace(self.unit, "", 1).strip()) if self.unit else text

    def strays(self, matches: "re.Pattern[str]") -> Counter[str]:
        """Return the texts that are not numbers of a pattern."""
        return Counter({text: n for text, n in self.counts.items() if not matches.fullmatch(self.plain(text))})

    def fits(self, strays: Counter[str]) -> bool:
        """Return True where all other texts are so many that the strays are words among them."""
        share = 1 - strays.total() / max(1, self.counts.total() + self.more)
        return share >= MOST or (share >= HALF and (all(map(is_absent, strays)) or len(strays) == 1))


def look_at(file: TableFile, names: Sequence[str], mixed: Collection[str]) -> list[Texts]:
    """Return the different texts of columns in the first rows, those of missing cells left out.

    Of the columns in `mixed`, mostly numbers, the words in all rows are returned.
    """
    found = {name: Texts(name, Counter()) for name in names}
    how = file.options.notation
    for first, batch in file.batches(names) if names else ():
        wanted = names if first < SAMPLE_ROWS else mixed
        if not wanted:
            break
        for name in wanted:
            texts, cells = found[name], how.trimmed(batch.column(name)).drop_null()
            if first >= SAMPLE_ROWS:
                words = pc.filter(cells, pc.invert(pc.match_substring_regex(how.without_signs(cells), how.number)))
                texts.more += len(cells) - len(words)
                cells = words
            if len(texts.counts) <= MAX_DIFFERENT:
                counted = cells.value_counts()
                pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
                texts.counts.update(dict(pairs))
    return list(found.values())


def absent_words(texts: Sequence[Texts], how: Notation) -> dict[str, list[str]]:
    """Return the words among numbers and dates that stand for a missing one, by column."""
    found: dict[str, list[str]] = {}
    for each in texts:
        numbers = each.strays(how.is_number)
        dates = Counter({t: n for t, n in each.counts.items() if day_number(t, how.date_order) is None})
        strays = min(numbers, dates, key=Counter.total)
        few = len(strays) <= MAX_STRAYS and len(each.counts) - len(strays) >= MANY
        if any(map(LIST.search, strays)):
            continue
        if strays and each.fits(strays) and (few or all(map(is_absent, strays))):
            found[each.name] = list(strays)
    return found


def is_absent(text: str) -> bool:
    """Return True for what files write in the place of a value."""
    return text.lower() in ABSENT


def told_words(words: Mapping[str, Sequence[str]], labels: Collection[str]) -> list[str]:
    """Return what stands for a missing number or date, in words; `labels` are those of a target, which do not."""
    notes = []
    for name, each in words.items():
        if left := [repr(word) for word in each if word not in labels]:
            limits = any(word[0] in LIMITS for word in each if word not in labels)
            more = ". It says more: write a number in its place, such as the limit" if limits else ""
            notes.append(f"{name}: {', '.join(left)} among numbers: counted as missing{more}")
        if kept := [repr(word) for word in each if word in labels]:
            notes.append(f"{name}: {', '.join(kept)} is also a label of a target, so it does not count as missing")
    return notes
