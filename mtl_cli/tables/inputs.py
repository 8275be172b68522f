"""Rows of a table as model inputs, by what was fitted on training rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputSpec
from mtl_cli.errors import UserError, nearest
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import categories, dates, numbers
from mtl_cli.tables.place import Place
from mtl_cli.tables.scaling import Scaler
from mtl_cli.tables.store import Table
from mtl_cli.tables.vocabulary import Vocabulary
from mtl_cli.typed import typed


@dataclass(frozen=True)
class TableInputs:
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
    def spec(self) -> InputSpec:
        """Shape of the inputs, and the categories of each column of them."""
        sizes = tuple(vocabulary.size for vocabulary in self.vocabularies)
        return InputSpec("table", (self.scaler.width + len(sizes),), sizes)

    @property
    def names(self) -> list[str]:
        """The name of each input, in order: numbers, dates, marks of missing numbers, categories."""
        plain = [*self.numbers, *self.dates]
        return [*plain, *(f"{plain[index]}_missing" for index in self.scaler.marked), *self.texts]

    def example(self) -> dict[str, Tensor]:
        """Return two rows of average numbers and unknown categories."""
        numeric = torch.zeros(2, self.scaler.width)
        return {"numeric": numeric, "categorical": torch.zeros(2, len(self.texts), dtype=torch.int64)}

    def of_batch(
        self, batch: "pa.RecordBatch | pa.Table", missing: Sequence[str], path: Path, first_row: int
    ) -> dict[str, Tensor]:
        """Return `numeric` float32 [B, N] and `categorical` int64 [B, M] of rows as they come from a file.

        A category that training never saw is 0; columns that are no input are not looked at.

        Raises:
            UserError: an input column is missing, or a cell is no number where one is needed.
        """
        require_columns(self.columns, batch.schema.names, path)
        matrix = np.empty((batch.num_rows, len(self.numbers) + len(self.dates)))
        for index, name in enumerate((*self.numbers, *self.dates)):
            read = numbers if index < len(self.numbers) else dates
            matrix[:, index] = read(batch.column(name), missing, Place(path, name, first_row))
        codes = np.empty((batch.num_rows, len(self.texts)), dtype=np.int64)
        for index, (name, vocabulary) in enumerate(zip(self.texts, self.vocabularies, strict=True)):
            local, values = categories(batch.column(name), missing, Place(path, name, first_row))
            codes[:, index] = vocabulary.lookup(values)[local]
        return {"numeric": torch.from_numpy(self.scaler(matrix)), "categorical": torch.from_numpy(codes)}

    def state(self) -> dict[str, Any]:
        """Return tensors and plain data for a checkpoint."""
        names = {kind: list(getattr(self, kind)) for kind in ("numbers", "dates", "texts")}
        return {
            **names,
            "scaler": self.scaler.state(),
            "vocabularies": [list(each.values) for each in self.vocabularies],
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "TableInputs":
        """Return the inputs of a checkpoint."""
        vocabularies = [typed(Vocabulary, {"values": values}) for values in state["vocabularies"]]
        scaler = Scaler.of(state["scaler"], len(state["numbers"]) + len(state["dates"]))
        if len(vocabularies) != len(state["texts"]):
            raise ValueError(f"{len(vocabularies)} vocabularies of {len(state['texts'])} columns")
        return typed(cls, {**state, "scaler": scaler, "vocabularies": vocabularies})


class InputRows:
    """The inputs of any rows of one table."""

    def __init__(self, inputs: TableInputs, table: Table) -> None:
        self._table, self._scaler = table, inputs.scaler
        self._numbers = table.number_places([*inputs.numbers, *inputs.dates])
        self._texts = table.text_places(inputs.texts)
        lookups = [
            vocabulary.lookup(table.values[at].to_pylist())
            for vocabulary, at in zip(inputs.vocabularies, self._texts, strict=True)
        ]
        self._lookup = np.concatenate([np.empty(0, dtype=np.int64), *lookups])
        sizes = np.array([len(lookup) for lookup in lookups], dtype=np.int64)
        self._missing = sizes - 1
        self._offsets = np.cumsum(sizes) - sizes

    def __call__(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return `numeric` float32 [B, N] and `categorical` int64 [B, M] of the rows at `rows` [B]."""
        numeric = self._scaler(self._table.numbers[rows][:, self._numbers])
        codes = self._table.codes[rows][:, self._texts].astype(np.int64)
        codes = np.where(codes < 0, self._missing, codes) + self._offsets
        return {"numeric": torch.from_numpy(numeric), "categorical": torch.from_numpy(self._lookup[codes])}


def require_columns(wanted: Sequence[str], present: Sequence[str], path: Path) -> None:
    """Refuse a file without one of the columns that are needed.

    Raises:
        UserError: every column that is missing.
    """
    if absent := [name for name in wanted if name not in present]:
        listed = ", ".join(f"'{name}'" for name in absent[:10]) + (", …" if len(absent) > 10 else "")
        some = ", ".join(present[:10]) + (", …" if len(present) > 10 else "")
        alike = [name for name in present if name.lower() == absent[0].lower()]
        hint = f" Did you mean '{alike[0]}'?" if alike else nearest(absent[0], present)
        raise UserError(f"{path} has no column {listed}.{hint} Its columns: {some}.")
