"""Rows of a table as arrays of numbers and of categories, by what was fitted; nothing here needs torch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import some
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import category_cells, date_cells, number_cells
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import require_columns
from mtl_cli.tables.scaling import Scaler
from mtl_cli.tables.vocabulary import UNKNOWN, Vocabulary

logger = logging.getLogger("mtl_cli")


@dataclass(frozen=True)
class ColumnEncoder:
    """Input columns, the numbers' scaler and the categories' vocabularies."""

    numbers: tuple[str, ...]
    dates: tuple[str, ...]
    texts: tuple[str, ...]
    scaler: Scaler
    vocabularies: tuple[Vocabulary, ...]

    @property
    def columns(self) -> list[str]:
        """Every input column."""
        return [*self.numbers, *self.dates, *self.texts]

    @property
    def names(self) -> list[str]:
        """The name of each input, in order: numbers, dates, marks of missing numbers, categories."""
        columns = [*self.numbers, *self.dates]
        return [*columns, *(f"{columns[index]}_missing" for index in self.scaler.marked), *self.texts]

    def plain(self) -> dict[str, Any]:
        """Return plain data, for the manifest of a bundle."""
        return {
            **{name: list(getattr(self, name)) for name in ("numbers", "dates", "texts")},
            "scaler": {name: values.tolist() for name, values in self.scaler.arrays().items()},
            "vocabularies": [list(each.values) for each in self.vocabularies],
        }

    def encode(
        self, batch: "pa.RecordBatch | pa.Table", how: Notation, path: Path, first_row: int
    ) -> dict[str, np.ndarray]:
        """Return `numeric` float32 [B, N] and `categorical` int64 [B, M] of rows as they come from a file.

        A category that training never saw is 0. Columns that are not inputs are not read.

        Raises:
            UserError: an input column is missing, or a cell that must be a number is not one.
        """
        require_columns(self.columns, batch.schema.names, path)
        matrix = np.empty((batch.num_rows, len(self.numbers) + len(self.dates)))
        for index, name in enumerate((*self.numbers, *self.dates)):
            read = number_cells if index < len(self.numbers) else date_cells
            matrix[:, index] = read(batch.column(name), how, Place(path, name, first_row, fitted=True))
        codes = np.empty((batch.num_rows, len(self.texts)), dtype=np.int64)
        for index, (name, vocabulary) in enumerate(zip(self.texts, self.vocabularies, strict=True)):
            local, values = category_cells(batch.column(name), how, Place(path, name, first_row, fitted=True))
            lookup = vocabulary.lookup(values)
            codes[:, index] = lookup[local]
            if first_row == 0:
                warn_of_unknown(path, name, local, lookup, values)
        if first_row == 0:
            warn_of_far(path, self.numbers, matrix, self.scaler)
        return {"numeric": self.scaler(matrix), "categorical": codes}


LOOKED_AT, FIRST = 1 << 16, 1_000
"""Rows of a table that are looked at for unknown categories, and for numbers that are far away."""


def warn_of_unknown(
    path: Path, name: str, codes: np.ndarray, lookup: np.ndarray, values: "Sequence[str] | pa.Array"
) -> None:
    """Warn of a column most of whose cells hold categories that training never saw: it may be written otherwise there.

    `codes` [N] number `values`, -1 where a cell is missing; `lookup` [V + 1] are the numbers of the values in training.
    """
    present = codes[codes >= 0]
    unknown = present[lookup[present] == UNKNOWN]
    if len(unknown) >= 2 and len(unknown) > len(present) / 2:
        logger.warning(
            "%s, column '%s': %d of %d cells hold categories that are unknown to the model, such as '%s'. Does the "
            "file write them as the training file does?",
            path, name, len(unknown), len(present), values[int(unknown[0])],
        )  # fmt: skip


def warn_of_far(path: Path, names: Sequence[str], numbers: np.ndarray, scaler: Scaler) -> None:
    """Warn of columns most of whose numbers [N, columns] lie beyond those of training: the unit may be another one."""
    found = numbers[:FIRST, : len(names)]
    low, high = (each[: len(names)] for each in scaler.limits)
    far = (found < low) | (found > high)
    told = np.flatnonzero((far.sum(axis=0) >= 2) & (far.sum(axis=0) > (~np.isnan(found)).sum(axis=0) / 2))
    if len(told):
        at = int(told[0])
        logger.warning(
            "%s: most numbers of %s lie beyond those that the model was trained on, such as %g in '%s' (%g to %g). Are "
            "they in the same unit?",
            path, some([f"'{names[each]}'" for each in told.tolist()]), found[far[:, at], at][0], names[at],
            low[at], high[at],
        )  # fmt: skip
