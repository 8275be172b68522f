"""Rows of a table as model inputs, by what was fitted on training rows."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import InputPlace, InputSpec
from mtl_cli.config.annotations import typed
from mtl_cli.config.options import Options, option
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.column_encoder import ColumnEncoder
from mtl_cli.tables.columns import InputColumns
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.place import canonical
from mtl_cli.tables.scaling import BLOCK_ROWS, IMPUTE, TABLE_SCALE, Float32Scaler, Scaler, fit_scaler
from mtl_cli.tables.store import Table, columns_of
from mtl_cli.tables.strange_cells import FIRST, LOOKED_AT, warn_of_far, warn_of_unknown
from mtl_cli.tables.vocabulary import Vocabulary, fit_vocabulary

logger = logging.getLogger("mtl_cli")


class TableInputs(ColumnEncoder):
    """Input columns, the numbers' scaler and the categories' vocabularies, as inputs of a model."""

    @property
    def spec(self) -> InputSpec:
        """Shape of the inputs, and the categories of each column of them."""
        sizes = tuple(vocabulary.size for vocabulary in self.vocabularies)
        return InputSpec("table", (self.scaler.width + len(sizes),), sizes)

    @property
    def places(self) -> dict[str, list[InputPlace]]:
        """Where each column lies in the inputs; a number has its mark of being missing beside it."""
        found = {name: [InputPlace("numeric", index)] for index, name in enumerate((*self.numbers, *self.dates))}
        columns = list(found)
        for mark, index in enumerate(self.scaler.marked):
            found[columns[index]].append(InputPlace("numeric", len(columns) + mark))
        return {**found, **{name: [InputPlace("categorical", index)] for index, name in enumerate(self.texts)}}

    def example(self) -> dict[str, Tensor]:
        """Return two rows of average numbers and unknown categories."""
        numeric = torch.zeros(2, self.scaler.width)
        return {"numeric": numeric, "categorical": torch.zeros(2, len(self.texts), dtype=torch.int64)}

    def of_batch(
        self, batch: "pa.RecordBatch | pa.Table", how: Notation, path: Path, first_row: int
    ) -> dict[str, Tensor]:
        """Return `numeric` float32 [B, N] and `categorical` int64 [B, M] of rows; see `ColumnEncoder.encode`.

        Raises:
            UserError: an input column is missing, or a cell that must be a number is not one.
        """
        return {name: torch.from_numpy(value) for name, value in self.encode(batch, how, path, first_row).items()}

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
        found = [typed(Vocabulary, {"values": values}) for values in state["vocabularies"]]
        vocabularies = [
            Vocabulary(tuple(None if value is None else canonical(value) for value in each.values)) for each in found
        ]  # older versions wrote large decimal numbers as 1e+10
        scaler = Scaler.of(state["scaler"], len(state["numbers"]) + len(state["dates"]))
        if len(vocabularies) != len(state["texts"]):
            raise ValueError(f"{len(vocabularies)} vocabularies of {len(state['texts'])} columns")
        return typed(cls, {**state, "scaler": scaler, "vocabularies": vocabularies})


class InputRows:
    """The inputs of any rows of one table."""

    def __init__(self, inputs: TableInputs, table: Table) -> None:
        self._table, self._scaler = table, inputs.scaler
        self._numbers = table.numbers_of([*inputs.numbers, *inputs.dates])
        warn_of_far(table.path, inputs.numbers, self._numbers[np.arange(min(FIRST, len(table)))], inputs.scaler)
        quick = self._numbers.is_float32 and inputs.scaler.knots is None
        self._quick = Float32Scaler(inputs.scaler, self._numbers.centre) if quick else None
        self._texts = table.text_places(inputs.texts)
        lookups = [
            vocabulary.lookup(table.values[at].to_pylist())
            for vocabulary, at in zip(inputs.vocabularies, self._texts, strict=True)
        ]
        for name, at, lookup, known in zip(inputs.texts, self._texts, lookups, inputs.vocabularies, strict=True):
            codes = table.codes[:LOOKED_AT][:, at].astype(np.int64)
            warn_of_unknown(table.path, name, codes, lookup, table.values[at], known)
        # each column's part begins with what a missing cell is, whose code is -1
        parts = [part for lookup in lookups for part in (lookup[-1:], lookup[:-1])]
        self._lookup = np.concatenate([np.empty(0, dtype=np.int64), *parts])
        sizes = np.array([len(lookup) for lookup in lookups], dtype=np.int64)
        self._offsets = np.cumsum(sizes) - sizes + 1

    def __call__(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return `numeric` float32 [B, N] and `categorical` int64 [B, M] of the rows at `rows` [B]."""
        numbers, quick = self._numbers, self._quick
        numeric = self._scaler(numbers[rows]) if quick is None else quick(numbers.stored(rows))
        codes = columns_of(self._table.codes, rows, self._texts) + self._offsets
        return {"numeric": torch.from_numpy(numeric), "categorical": torch.from_numpy(self._lookup.take(codes))}

    def all(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the inputs of many rows, made block by block: a block in float64 takes several times their memory."""
        starts = range(0, max(1, len(rows)), BLOCK_ROWS)
        found: dict[str, Tensor] = {}
        for start in starts:
            part = self(rows[start : start + BLOCK_ROWS])
            for name, values in part.items():
                if start == 0:
                    found[name] = values if len(starts) == 1 else values.new_empty(len(rows), *values.shape[1:])
                found[name][start : start + len(values)] = values
        return found


@dataclass(frozen=True, kw_only=True)
class ColumnOptions(Options):
    """Which columns are inputs, how numbers are filled in and scaled, and which categories are kept."""

    numeric: Sequence[str] | None = None
    """Input columns of numbers or dates; with None they are found."""
    categorical: Sequence[str] | None = None
    """Input columns of categories; with None they are found."""
    drop: Sequence[str] = ()
    """Columns that are left out where inputs are found."""
    impute: str = option("mean", choices=IMPUTE)
    """What a missing number becomes: mean, median, zero or constant."""
    impute_value: float = 0.0
    """The number for impute=constant."""
    indicators: bool = True
    """Whether each number column with missing values in training gets an input that marks them."""
    scale: str = option("standard", choices=TABLE_SCALE)
    """How numbers are scaled: standard, quantile or none."""
    max_categories: int | None = option(10000, low=1)
    """Number of categories kept per column, the most frequent ones; the others are unknown. None keeps all."""

    def fitted(self, chosen: InputColumns, table: Table, rows: np.ndarray, min_count: int) -> TableInputs:
        """Return the chosen columns of a table as inputs, fitted on its training `rows` [N].

        A category with fewer than `min_count` of these rows is unknown.
        """
        numbers = table.numbers_of([*chosen.numbers, *chosen.dates])
        every = np.arange(len(numbers.centre))
        scaler = fit_scaler(numbers, every, rows, self.impute, self.impute_value, self.indicators, self.scale)
        vocabularies = []
        for name in chosen.texts:
            codes, values = table.text(name)
            vocabularies.append(fit_vocabulary(codes[rows], values, self.max_categories, min_count))
            warn_of_names(table, name, codes[rows], vocabularies[-1].size - 1)
            left = len(set(values).difference(vocabularies[-1].values))
            if left:
                logger.info("%s, column '%s': %d of %d categories are unknown.", table.path, name, left, len(values))
        return TableInputs(chosen.numbers, chosen.dates, chosen.texts, scaler, tuple(vocabularies))


def warn_of_names(table: Table, name: str, codes: np.ndarray, known: int) -> None:
    """Warn of a column in which nearly every row has a value of its own; such categories say nothing."""
    count = int((codes >= 0).sum())
    if count >= 20 and known >= 0.95 * count:
        logger.warning(
            "%s, column '%s': nearly every row has a category of its own, such as '%s', which says little. "
            "Leave the column out (drop=[%s]), or write it as plain numbers (1234.5) if that is what it holds.",
            table.path, name, table.values[table.text_places([name])[0]][0], name,
        )  # fmt: skip
