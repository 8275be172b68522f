"""Pairs of texts that can be learnt: short strings with their reversal, and with each letter replaced by the next."""

import random
from pathlib import Path
from typing import Any

from tests.tables._files import write_csv
from tests.texts._runs import dataset

LETTERS = "abcdef"
DECODERS = {
    "gru": {"_target_": "mtl_cli.heads.gru_decoder.GRUDecoder", "num_layers": 1, "dropout": 0.0, "width": 24},
    "transformer": {
        "_target_": "mtl_cli.heads.transformer_decoder.TransformerDecoder", "num_layers": 1, "dropout": 0.1,
        "num_heads": 2,
    },
}  # fmt: skip


def pairs(rows: int, seed: int = 0, shuffled: bool = False, longest: int = 4) -> list[tuple[str, str, str, str]]:
    """Return rows of source, reversal, shifted letters, and the class of the first letter; some cells are empty."""
    stream = random.Random(seed)
    sources = ["".join(stream.choices(LETTERS, k=stream.randint(1, longest))) for _ in range(rows)]
    told = stream.sample(sources, rows) if shuffled else sources
    shift = str.maketrans(LETTERS, LETTERS[1:] + LETTERS[0])
    return [
        (source, "" if row % 11 == 5 else other[::-1], "" if row % 4 == 1 else other.translate(shift), source[0])
        for row, (source, other) in enumerate(zip(sources, told, strict=True))
    ]


def table(folder: Path, rows: int = 80, **changes: Any) -> Path:
    """Return the file of some pairs."""
    return write_csv(folder / "pairs.csv", ["source", "back", "next", "first"], pairs(rows, **changes))


def tasks(
    path: Path, names: tuple[str, ...] = ("back", "next"), decoder: str = "gru", **changes: Any
) -> dict[str, Any]:
    """Return a task for each column of targets, all on one dataset."""
    on = dataset("text", path, {}, **{"text": "source", "tokenizer": "characters", "batch_size": 16, **changes})
    return {name: {**written(name, decoder), "dataset": on} for name in names}


def written(name: str, decoder: str = "gru", **changes: Any) -> dict[str, Any]:
    """Return the node of a task that writes a column, without its dataset."""
    return {
        "_target_": "mtl_cli.tasks.seq2seq.Seq2Seq", "target": name, "weight": 1.0, "label_smoothing": 0.0,
        "metrics": ["exact_match", "token_accuracy"], "pieces": {"kind": "characters"}, "head": DECODERS[decoder],
        **changes,
    }  # fmt: skip
