"""Rows of a table as arrays of numbers and of categories, by what was fitted; nothing here needs torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import category_cells, date_cells, number_cells
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import require_columns
from mtl_cli.tables.scaling import Scaler
from mtl_cli.tables.strange_cells import warn_of_far, warn_of_unknown
from mtl_cli.tables.vocabulary import Vocabulary


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
                warn_of_unknown(path, name, local, lookup, values, vocabulary)
        if first_row == 0:
            warn_of_far(path, self.numbers, matrix, self.scaler)
        return {"numeric": self.scaler(matrix), "categorical": codes}
