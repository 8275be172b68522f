"""Reviews with table columns, whose labels need both: the best predictor is known.

The sentiment is that of the text's adjective, turned in the shop "swap"; a share of `NOISE` is drawn anew, so that with
the text alone, or with the columns alone, nothing is better than a coin. The score adds up what the text and the price
say, each of variance 4, and noise of variance 1.
"""

import random
from collections.abc import Sequence

from tests.texts._grammars import ADJECTIVES, FILLERS, noisy

HEADER = ["text", "blank", "price", "day", "shop", "liked", "score"]
COLUMNS = {"numeric": ["price", "day"], "categorical": ["shop"]}
BEST_ACCURACY = 0.95
BEST_RMSE = 1.0
RMSE_OF_A_PART = 5**0.5


def table(
    count: int, seed: int, shuffled: bool = False, adjectives: Sequence[str] = tuple(ADJECTIVES)
) -> list[list[object]]:
    """Return rows of `HEADER`; with `shuffled`, labels go to other rows."""
    stream = random.Random(seed)
    rows: list[list[object]] = []
    for _ in range(count):
        words = [stream.choice(FILLERS) for _ in range(stream.randint(1, 6))]
        word = stream.choice(adjectives)
        words.insert(stream.randint(0, len(words)), word)
        shop, price = stream.choice(["plain", "swap"]), stream.gauss(20.0, 5.0)
        sign = ADJECTIVES[word]
        liked = noisy("yes" if sign * (-1 if shop == "swap" else 1) > 0 else "no", ["yes", "no"], stream)
        score = 10.0 + 2.0 * sign + 2.0 * (price - 20.0) / 5.0 + stream.gauss(0.0, 1.0)
        day = f"2024-{stream.randint(1, 12):02d}-{stream.randint(1, 28):02d}"
        rows.append([" ".join(words), "same", round(price, 4), day, shop, liked, round(score, 4)])
    if shuffled:
        labels = [row[5:] for row in rows]
        stream.shuffle(labels)
        rows = [[*row[:5], *own] for row, own in zip(rows, labels, strict=True)]
    return rows
