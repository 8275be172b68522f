#!/usr/bin/env python
"""Writes the made-up texts of conf/experiment/text.yaml: reviews.csv and entities.conll, the same ones every time.

    python scripts/generate_texts.py [FOLDER]        # examples/ by default

reviews.csv has 6,000 rows of text, sentiment and topic. The sentiment (positive, neutral, negative) is that of the
adjective, turned by "not" before it; the topic is people, objects or none. One label in ten is drawn anew, so that
nobody reaches more than 0.933 of either. entities.conll has 3,000 sentences of word, tag and entity. The same noun is
the name of a person after "dr" or "ms" and a thing elsewhere, which the word alone does not tell. Who knows the grammar
is right about every word.
"""

import csv
import random
import sys
from collections.abc import Sequence
from pathlib import Path

NOUNS, TITLES, FILLERS = ["kim", "lee", "rio", "sol", "ada", "max"], ["dr", "ms"], ["the", "saw", "met", "and", "then"]
ADJECTIVES = {"good": 1, "fine": 1, "superb": 1, "bad": -1, "poor": -1, "awful": -1}
SENTIMENTS, TOPICS = {1: "positive", 0: "neutral", -1: "negative"}, ["people", "objects", "none"]
NOISE = 0.1
Word = tuple[str, str, str]


def sentence(stream: random.Random) -> list[Word]:
    """Return words with their tags and entities."""
    kinds = [stream.choice(["name", "thing", "filler"]) for _ in range(stream.randint(1, 4))]
    if stream.random() < 0.7:
        kinds.insert(stream.randint(0, len(kinds)), "adjective")
    words: list[Word] = []
    for kind in kinds:
        if kind == "name":
            words.append((stream.choice(TITLES), "TITLE", "O"))
            marks = ["B-PER", "I-PER"][: stream.randint(1, 2)]
            words += [(stream.choice(NOUNS), "NAME", mark) for mark in marks]
        elif kind == "thing":
            words += [(stream.choice(FILLERS), "FILL", "O"), (stream.choice(NOUNS), "THING", "B-OBJ")]
        elif kind == "adjective":
            words += [("not", "NEG", "O")] * (stream.random() < 0.3)
            words.append((stream.choice(list(ADJECTIVES)), "ADJ", "O"))
        if kind != "adjective":
            words.append((stream.choice(FILLERS), "FILL", "O"))
    return words


def sentiment(words: Sequence[Word]) -> str:
    """Return what the adjective says."""
    total = 0
    for index, (word, _, _) in enumerate(words):
        turned = index > 0 and words[index - 1][0] == "not"
        total += ADJECTIVES.get(word, 0) * (-1 if turned else 1)
    return SENTIMENTS[total]


def topic(words: Sequence[Word]) -> str:
    """Return what the sentence is about."""
    tags = {tag for _, tag, _ in words}
    return "people" if "NAME" in tags else "objects" if "THING" in tags else "none"


def reviews(rows: int = 6000, seed: int = 0) -> list[list[str]]:
    """Return rows of text, sentiment and topic."""
    stream = random.Random(seed)
    found = []
    for _ in range(rows):
        words = sentence(stream)
        labels = [sentiment(words), topic(words)]
        for index, among in enumerate((list(SENTIMENTS.values()), TOPICS)):
            if stream.random() < NOISE:
                labels[index] = stream.choice(among)
        found.append([" ".join(word for word, _, _ in words), *labels])
    return found


def entities(sentences: int = 3000, seed: int = 1) -> str:
    """Return sentences with one word per line."""
    stream = random.Random(seed)
    parts = ["\n".join("\t".join(word) for word in sentence(stream)) for _ in range(sentences)]
    return "\n\n".join(parts) + "\n"


def write(folder: Path, rows: int = 6000, sentences: int = 3000) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "reviews.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "sentiment", "topic"])
        writer.writerows(reviews(rows))
    (folder / "entities.conll").write_text(entities(sentences), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "examples"))
