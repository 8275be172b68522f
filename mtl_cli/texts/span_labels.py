"""Labels of words that mark spans, in any of the usual notations."""

from collections.abc import Sequence

MARKS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
"""The letters of IOBES for those with which IOB, IOBES, BILOU and BMES mark begin, inside, end and single word."""


def iobes(names: Sequence[str]) -> list[str] | None:
    """Return labels such as B-PER, L-PER, O in the letters of IOBES: B-PER, E-PER, O; None if they do not mark spans.

    Labels without types are B, I, O and the like. One of the labels is O, unless all words are in spans, as with B-NP,
    I-NP or B, M, E, S.
    """
    parts = [name.partition("-") for name in names]
    inside = [(mark, kind) for mark, _, kind in parts if (mark, kind) != ("O", "")]
    marks = {mark for mark, _ in inside}
    typed = {bool(kind) for _, kind in inside}
    if not inside or len(typed) > 1 or not marks <= MARKS.keys():
        return None
    letters = {MARKS[mark] for mark in marks}
    if not ("O" in names or {"B", "E", "S"} <= letters or (typed == {True} and {"B", "I"} <= letters)):
        return None
    if typed == {False} and "B" not in marks:
        return None
    return [MARKS.get(mark, mark) + dash + kind for mark, dash, kind in parts]
