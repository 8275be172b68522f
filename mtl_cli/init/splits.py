"""Columns that say of each row whether it is for training, validation or test."""

import re
from collections.abc import Sequence

import numpy as np

from mtl_cli.init.guess import Guess
from mtl_cli.tables.cells import category_cells
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import TableFile
from mtl_cli.tables.splitting import NAMES, TRAIN

SPLITS = re.compile(
    r"(data_?)?(split|partition|subset)|(cv_?)?folds?|is_?(train|test|val(id(ation)?)?)(ing)?", re.IGNORECASE
)
"""Names of columns that divide rows."""
MAX_VALUES = 12
"""Different texts of such a column, capitals counted, at most."""


def split_of(file: TableFile, names: Sequence[str]) -> str | None:
    """Return the first of some columns of text whose every cell names a split, with training rows and others."""
    seen: dict[str, set[str]] = {name: set() for name in names}
    for first, batch in file.batches(names) if names else ():
        for name in list(seen):
            codes, values = category_cells(batch.column(name), file.options.notation, Place(file.path, name, first))
            if (codes < 0).any() or len(values) > MAX_VALUES or any(value.lower() not in NAMES for value in values):
                del seen[name]
            else:
                seen[name] |= set(values)
        if not seen:
            break
    for name, said in seen.items():
        parts = {NAMES[value.lower()] for value in said}
        if TRAIN in parts and len(parts) > 1:
            return name
    return None


def told_unused(names: Sequence[str]) -> list[str]:
    """Return which columns of inputs are named as if they divided the rows, and how they do."""
    return [
        f"{name}: an input, though its name says that it divides the rows. Where every cell is train, validation or "
        f"test, it does; or leave it out: drop=[{name}]"
        for name in names
        if SPLITS.fullmatch(name)
    ]


def unseen_classes(file: TableFile, split: str, guesses: Sequence[Guess]) -> list[str]:
    """Return the classes of targets that no training row has, target by target, as lines of the report."""
    cells = [cell for _, batch in file.batches([split]) for cell in batch.column(0).to_pylist()]
    training = np.array([NAMES[str(cell).lower()] == TRAIN for cell in cells])
    lines = []
    for guess in guesses:
        if guess.kind not in ("class", "binary", "ordinal"):
            continue
        column = guess.columns[0]
        seen = set(column.codes[training].tolist())
        if lost := [name for code, name in enumerate(column.values) if code not in seen]:
            lines.append(f"{guess.name}: no row of the training split has the class {', '.join(lost[:10])}")
    return lines
