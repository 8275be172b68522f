"""Words that stand in an order: sizes, degrees, agreement, how often, ranks (1st, 2nd) and ranges (18-24, 25-34)."""

import itertools
import re
from collections.abc import Sequence

FEWEST = 3
"""Words of a scale: of two an order says nothing."""
SCALES = tuple(
    tuple(tuple(step.split("/")) for step in scale.split(", "))
    for scale in (
        "never, almost never/hardly ever, rarely/seldom, occasionally, sometimes, often/frequently, usually, "
        "almost always/very often, always",
        "none, very low, low, medium/moderate/average/mid, high, very high, extreme",
        "none, minimal, mild/slight, moderate, severe, very severe/critical/extreme",
        "tiny, very small, small, medium, large, very large/huge",
        "xxs, xs, s, m, l, xl, xxl/2xl, xxxl/3xl, 4xl",
        "strongly disagree, disagree, somewhat disagree/slightly disagree, neutral/neither agree nor disagree, "
        "somewhat agree/slightly agree, agree, strongly agree",
        "terrible/awful, very poor/very bad, poor/bad, fair/average/ok/okay, good, very good, excellent/great",
        "very dissatisfied, dissatisfied, neutral/neither satisfied nor dissatisfied, satisfied, very satisfied",
        "very unlikely, unlikely, neutral/possible, likely, very likely",
        "not at all, a little/slightly, somewhat/moderately, very/very much, extremely",
        "novice, beginner, intermediate, advanced, expert",
        "first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth",
        "i, ii, iii, iv, v, vi, vii, viii, ix, x",
    )
)
"""Words from the lowest to the highest; those joined by / are one step, of which a column has one."""
RANK = re.compile(r"(\d+)(st|nd|rd|th)")
RANGE = re.compile(r"(?P<up><|≤|under|up to)?\s*(?P<low>\d+)\s*((-|–|to)\s*(?P<high>\d+)|(?P<more>\+|or more))?")
"""The ends of a range: <18, 18-24, 65+."""


def words_in_order(values: Sequence[str]) -> list[str]:
    """Return labels from the lowest to the highest; none where they do not all stand in one order for certain."""
    words = {" ".join(value.lower().replace("_", " ").split()): value for value in values}
    if len(words) < max(FEWEST, len(values)):
        return []
    for scale in SCALES:
        place = {word: step for step, alike in enumerate(scale) for word in alike}
        if words.keys() <= place.keys() and len({place[word] for word in words}) == len(words):
            return [words[word] for word in sorted(words, key=place.__getitem__)]
    if all(map(RANK.fullmatch, words)):
        return [words[word] for word in sorted(words, key=lambda word: int(word[:-2]))]
    return [words[word] for word in ranges_in_order(list(words))]


def ranges_in_order(words: Sequence[str]) -> list[str]:
    """Return ranges of whole numbers from the lowest on; an empty list where one is not a range, or two overlap."""
    found = []
    for word in words:
        ends = RANGE.fullmatch(word)
        if ends is None or not (ends["up"] or ends["high"] or ends["more"]):
            return []
        low, high = int(ends["low"]), ends["high"] or ends["low"]
        found.append((-1 if ends["up"] else low, 10**18 if ends["more"] else int(high), word))
    found.sort()
    apart = all(low < high for low, high, _ in found) and all(a[1] <= b[0] for a, b in itertools.pairwise(found))
    return [word for *_, word in found] if apart else []
