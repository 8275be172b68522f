"""Columns of a table of images that are further inputs: numbers, categories and texts beside the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtl_cli.images.box_cells import is_path
from mtl_cli.images.checking import read_cells
from mtl_cli.images.decoding import decode_labels
from mtl_cli.init.advice import Advice, advise_texts
from mtl_cli.init.guess import Guess
from mtl_cli.init.inputs import FoundInputs, find_inputs
from mtl_cli.init.notation import Written
from mtl_cli.init.running_text import TextColumn
from mtl_cli.init.scripts import script_shares
from mtl_cli.init.yaml_files import comment, entry, some
from mtl_cli.tables.reading import TableFile

LOOKED_AT, ALIKE = 40, 0.9
"""Rows whose objects are counted, and the share of them in which a column says that number."""


@dataclass(frozen=True)
class FoundBeside:
    """What becomes of the columns beside an image, and how their texts are cut."""

    inputs: FoundInputs
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    texts: tuple[TextColumn, ...]
    advice: Advice | None

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """The columns by the option that reads them."""
        kinds = {"numeric": self.numeric, "categorical": self.categorical, "text": tuple(t.name for t in self.texts)}
        return {kind: names for kind, names in kinds.items() if names}

    def option_lines(self) -> list[str]:
        """Return the lines of YAML."""
        lines = [entry(kind, list(names), "beside the image") for kind, names in self.kinds.items()]
        lines += [entry("scale", "quantile", "by rank, so that long tails do no harm")] if self.numeric else []
        lines += self.advice.option_lines() if self.advice else []
        return [*lines, *(comment(f"left out: {name}: {reason}") for name, reason in self.inputs.drop.items())]

    def told(self) -> list[str]:
        """Return the lines of the report."""
        lines = [f"{kind} beside the image: {some(names)}" for kind, names in self.kinds.items()]
        if self.kinds:
            dropped = ",".join(name for names in self.kinds.values() for name in names)
            lines.append(
                f"these columns help to predict, so new images should come with them; for images alone, or where they "
                f"are answers too: drop=[{dropped}], or name them in target="
            )
        return [*lines, *(f"left out {name}: {reason}" for name, reason in self.inputs.drop.items())]


def find_beside(
    rows: Written, names: Sequence[str], texts: Sequence[TextColumn], guesses: Sequence[Guess], drop: dict[str, str]
) -> FoundBeside:
    """Return what becomes of some columns and texts; `drop` are columns to leave out, with the reason."""
    inputs = find_inputs(rows.file, rows.profile, names, guesses, drop, beside=True)
    used = [name for name in names if name not in inputs.drop]
    kinds = rows.profile.columns
    words = tuple(name for name in used if name in inputs.categorical or kinds[name].kind == "text")
    advice = None
    if texts:
        shares = script_shares(text for column in texts for text in column.present)
        advice = advise_texts([column.texts for column in texts], shares, rows.profile.rows)
    return FoundBeside(inputs, tuple(name for name in used if name not in words), words, tuple(texts), advice)


def telling_counts(
    file: TableFile, names: Sequence[str], folder: Path, pictures: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """Return the columns that hold the number of objects in label images, with the reason.

    Args:
        file: the table.
        names: the columns that may be inputs.
        folder: what the label images lie in.
        pictures: the name of each target that numbers objects, and its column.
    """
    found = {}
    for target, column in pictures:
        cells = read_cells(file, column, {})[0][:LOOKED_AT]
        counts = [_objects(folder / cell) if is_path(cell) else None for cell in cells]
        for name in names:
            own = [_number(cell) for cell in read_cells(file, name, {})[0][:LOOKED_AT]]
            pairs = [pair for pair in zip(own, counts, strict=True) if None not in pair]
            if len({count for _, count in pairs}) > 1 and np.mean([a == b for a, b in pairs]) >= ALIKE:
                found[name] = f"it is the number of objects of {target}, so the answer would leak into the question"
    return found


def _objects(path: Path) -> int | None:
    return int(np.count_nonzero(np.unique(decode_labels(path)))) if path.is_file() else None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
