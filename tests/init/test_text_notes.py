"""Copies of texts, and words that give a label away."""

import numpy as np
import pytest

from mtl_cli.init.guess import guess_target
from mtl_cli.init.label_lists import list_guess
from mtl_cli.init.labels import of_numbers
from mtl_cli.init.running_text import TextColumn
from mtl_cli.init.text_notes import copied_texts, telling_words

SPAM = np.random.RandomState(2).rand(120) > 0.5
TEXTS = [f"this is text number {k} of several kinds, the {'red' if k % 3 else 'blue'} one" for k in range(120)]


def told(texts, labels=SPAM):
    guess = guess_target("spam", [of_numbers("spam", np.asarray(labels, dtype=np.float64))])
    return list(telling_words(TextColumn("text", texts), [list_guess(guess, None)]))


@pytest.mark.parametrize("mark", ["[spam]", "viagra"])
def test_a_word_that_only_one_class_holds_is_told(mark):
    marked = [f"{text} {mark}" if spam else text for text, spam in zip(TEXTS, SPAM, strict=True)]
    (warning,) = told(marked)
    assert f"nearly all texts of spam 1, and hardly any others, hold '{mark}'" in warning
    assert told(marked, np.roll(SPAM, 1)) == []
    some = [text.replace(mark, "") if k % 10 == 0 else text for k, text in enumerate(marked)]
    assert told(some) == []


def test_usual_texts_hold_none():
    assert told(TEXTS) == []


def test_copies_are_counted():
    assert copied_texts(TextColumn("text", TEXTS)) == []
    assert "text: 40 of 160 texts are the same" in copied_texts(TextColumn("text", [*TEXTS, *TEXTS[:40], "", ""]))[0]
    (note,) = copied_texts(TextColumn("text", [*TEXTS, *(f"{text.upper()} " for text in TEXTS[:40])]))
    assert "40 of 160 texts are the same as an earlier one, but for capitals and spaces. " in note
