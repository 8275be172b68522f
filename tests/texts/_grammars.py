"""Sentences drawn from a grammar, whose best predictor is known for every kind of task.

A sentence is words of a few kinds. A noun is a person's name where an honorific stands before it, one or two words
long, else a thing: the label of a word needs its neighbour. The sentiment of a text is that of its adjective, turned by
"not" before it. Of the labels of whole texts a share of `NOISE` is drawn anew, which bounds what any predictor reaches.
"""

import random

NAMES, ADJECTIVES = ["kim", "lee", "rio", "sol"], {"good": 1, "fine": 1, "bad": -1, "poor": -1}
HONORIFICS, FILLERS = ["dr", "ms"], ["the", "saw", "met", "and"]
NOISE = 0.1
BEST_BINARY = 1 - NOISE / 2
BEST_CLASSES = 1 - NOISE * 2 / 3


def sentence(stream: random.Random) -> tuple[list[str], list[str], list[str]]:
    """Return words, tags and BIO labels."""
    words, tags, spans = [], [], []

    def add(word: str, tag: str, span: str = "O") -> None:
        words.append(word)
        tags.append(tag)
        spans.append(span)

    kinds = [stream.choice(["name", "thing", "filler"]) for _ in range(stream.randint(1, 3))]
    if stream.random() < 0.7:
        kinds.insert(stream.randint(0, len(kinds)), "adjective")
    for kind in kinds:
        if kind == "name":
            add(stream.choice(HONORIFICS), "TITLE")
            for index in range(stream.randint(1, 2)):
                add(stream.choice(NAMES), "NAME", "I-PER" if index else "B-PER")
            add(stream.choice(FILLERS), "FILL")
        elif kind == "thing":
            add(stream.choice(FILLERS), "FILL")
            add(stream.choice(NAMES), "THING", "B-OBJ")
            add(stream.choice(FILLERS), "FILL")
        elif kind == "adjective":
            if stream.random() < 0.3:
                add("not", "NEG")
            add(stream.choice(list(ADJECTIVES)), "ADJ")
        else:
            add(stream.choice(FILLERS), "FILL")
    return words, tags, spans


def score(words: list[str]) -> int:
    """Return what the adjective says, turned by "not" before it; 0 where there is none."""
    before = ["", *words[:-1]]
    return sum((-1 if left == "not" else 1) * ADJECTIVES.get(word, 0) for left, word in zip(before, words, strict=True))


def noisy(value: str, among: list[str], stream: random.Random) -> str:
    """Return the value, or with probability `NOISE` any of them."""
    return stream.choice(among) if stream.random() < NOISE else value


def conll_text(count: int, seed: int, shuffled: bool = False) -> str:
    """Return a file of columns word, tag, span."""
    stream = random.Random(seed)
    lines = []
    for _ in range(count):
        words, tags, spans = sentence(stream)
        if shuffled:
            stream.shuffle(tags)
        lines += [f"{word}\t{tag}\t{span}" for word, tag, span in zip(words, tags, spans, strict=True)] + [""]
    return "\n".join(lines) + "\n"


HEADER = ["text", "positive", "topic", "score", "stars", "names", "things"]


def text_table(count: int, seed: int, shuffled: bool = False) -> list[list[object]]:
    """Return rows of `HEADER`: a binary label, one of three classes, a number, an order and two of multilabel."""
    stream = random.Random(seed)
    rows: list[list[object]] = []
    for _ in range(count):
        words, tags, spans = sentence(stream)
        total = score(words)
        topic = "people" if "B-PER" in spans else "objects" if "B-OBJ" in spans else "none"
        rows.append([
            " ".join(words),
            noisy("yes" if total > 0 else "no", ["yes", "no"], stream),
            noisy(topic, ["people", "objects", "none"], stream),
            10.0 + 3.0 * total + stream.gauss(0.0, 1.0),
            total + 2,
            int("NAME" in tags),
            int("THING" in tags),
        ])  # fmt: skip
    if shuffled:
        texts = [row[0] for row in rows]
        stream.shuffle(texts)
        rows = [[text, *row[1:]] for text, row in zip(texts, rows, strict=True)]
    return rows
