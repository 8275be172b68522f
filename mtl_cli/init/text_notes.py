"""What deserves a look in texts: copies of texts, and words that give a label away."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mtl_cli.init.guess import Guess
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.repeated import FEWEST, MANY_COPIES
from mtl_cli.init.running_text import TextColumn

WORD = re.compile(r"\[?\w+\]?")
ROWS_OF_A_CLASS = 10
"""Rows from which on a class has no word of its own by chance."""
SHARE = 0.98
"""Share of the rows of a class that hold a word, and of the rows with the word that are of the class."""


def copied_texts(column: TextColumn) -> list[str]:
    """Return that many texts are the same as others."""
    copies = len(column.present) - len({"".join(text.split()).casefold() for text in column.present})
    exactly = len(column.present) - column.distinct
    if copies < max(FEWEST, MANY_COPIES * len(column.present)):
        return []
    return [
        f"{column.name}: {copies} of {len(column.present)} texts are the same as an earlier one"
        f"{', but for capitals and spaces' * (exactly < copies)}. A copy in the "
        "training rows answers its twin in the test split: leave one of each in the file"
    ]


def telling_words(column: TextColumn, guesses: Sequence[Guess]) -> Iterator[str]:
    """Yield warnings of words that nearly all texts of one class hold, and hardly any others."""
    words = [frozenset(map(str.lower, WORD.findall(text))) for text in column.texts]
    everywhere = Counter(word for each in words for word in each)
    for guess in guesses:
        target = guess.columns[0]
        if guess.kind in ("class", "binary") and (found := word_of_a_class(words, everywhere, target)):
            word, label = found
            yield (
                f"{column.name}: nearly all texts of {target.name} {label}, and hardly any others, hold '{word}'. If "
                f"it is not known before {target.name} is, take it out of the texts"
            )


def word_of_a_class(
    words: Sequence[frozenset[str]], everywhere: Counter[str], target: LabelColumn
) -> tuple[str, str] | None:
    """Return a word that the texts of a class hold and others do not, with the class; None where there is none."""
    codes = target.codes[: len(words)].tolist()
    for code, label in enumerate(target.values):
        own = [each for each, of in zip(words, codes, strict=True) if of == code]
        if not ROWS_OF_A_CLASS <= len(own) <= len(words) - ROWS_OF_A_CLASS:
            continue
        counted = Counter(word for each in own for word in each)
        for word, count in counted.items():
            if count >= SHARE * max(len(own), everywhere[word]):
                return word, label
    return None
