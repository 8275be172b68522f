"""The scripts that texts are written in, and how many words a text has, also where no space parts them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

SPACELESS = {"Han": 2, "Hiragana": 2, "Katakana": 2, "Thai": 4, "Lao": 4, "Khmer": 4, "Myanmar": 4}
"""Scripts without spaces between words, with the letters that a word has, about."""
NAMES = {"Cjk": "Han", "Kangxi": "Han", "Ideographic": "Han", "Halfwidth": "Katakana"}
"""Scripts whose characters have names that begin otherwise."""
PICTURES = "pictures"
_LETTERS = {
    2: re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"),
    4: re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"),
}
_PICTURE = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
_WORD = re.compile(r"[^\W\d_][^\s]*")


def count_words(text: str) -> float:
    """Return the number of words with a letter in them, numbers not counted; a picture is a word.

    Of scripts without spaces it is the number of letters by the usual length of a word.
    """
    if text.isascii():
        return len(_WORD.findall(text))
    words = 0.0
    for length, letters in _LETTERS.items():
        text, found = letters.subn(" ", text)
        words += found / length
    text, pictures = _PICTURE.subn(" ", text)
    return words + pictures + len(_WORD.findall(text))


def script_shares(texts: Iterable[str]) -> dict[str, float]:
    """Return the share of each script among the letters and pictures of texts, the largest first."""
    counts: Counter[str] = Counter()
    for character, count in Counter("".join(texts)).items():
        if script := script_of(character):
            counts[script] += count
    total = counts.total()
    return {script: count / total for script, count in counts.most_common()}


def spaceless_share(shares: Mapping[str, float], but: str = "") -> float:
    """Return the share of scripts without spaces, of all of them but one."""
    return sum(share for script, share in shares.items() if script in SPACELESS and script != but)


@lru_cache(maxsize=1 << 16)
def script_of(character: str) -> str:
    """Return the script of a letter, by the first word of its Unicode name; pictures for symbols; else nothing."""
    category = unicodedata.category(character)
    if category == "So":
        return PICTURES
    if category[0] not in "LM" or category == "Lm":
        return ""
    first = unicodedata.name(character, "").partition(" ")[0].partition("-")[0].title()
    return "" if first in ("Combining", "Variation", "Zero", "Modifier") else NAMES.get(first, first)
