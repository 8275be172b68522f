"""The pieces of texts to be written, row by row, and a split that has them as label fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, NO_CLASS, FieldSpec, Sample, Split
from mtl_cli.texts.ragged import Ragged, places


@dataclass(frozen=True)
class WrittenRows:
    """The pieces of every row of a file, and where a row has a text, bool [N]."""

    pieces: Ragged
    present: np.ndarray

    def padded(self, rows: np.ndarray) -> Tensor:
        """Return rows int64 [B, L], L being the longest of them, as `mtl_cli.batch.pad_sets` does."""
        lengths = np.where(self.present[rows], self.pieces.lengths[rows], 0)
        size = int(lengths.max(initial=1))
        out = np.full((len(rows), size), NO_CLASS, dtype=np.int64)
        out[~self.present[rows]] = MISSING_CLASS
        out[np.arange(size) < lengths[:, None]] = self.pieces.values[places(self.pieces.offsets[:-1][rows], lengths)]
        return torch.from_numpy(out)


def absent_rows(number: int) -> WrittenRows:
    """Return rows without a text."""
    return WrittenRows(Ragged.constant([0], number), np.zeros(number, dtype=bool))


class WithWriting(Split):
    """A split with label fields of texts to be written beside its own: sets of pieces, [B, L], the longest of a batch.

    Args:
        inner: the split.
        written: the rows of the whole file, by field.
        rows: numbers of the split's rows in the file [N].
    """

    def __init__(self, inner: Split, written: Mapping[str, WrittenRows], rows: np.ndarray) -> None:
        self._inner, self._written, self._rows = inner, dict(written), rows
        self.lengths, self.alike = inner.lengths, inner.alike
        self.labels_at_hand = inner.labels_at_hand  # type: ignore[misc]  # those of this one are

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._inner)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        sample = self._inner.__getitems__(indices)
        return Sample(sample.inputs, {**sample.fields, **self._padded(indices, list(self._written))}, sample.counts)

    def apart(self, indices: Tensor, specs: Mapping[str, FieldSpec]) -> list[Sample]:
        """Return the rows at `indices` [B] one by one; a row without a text lacks the field."""
        found = []
        for place, sample in enumerate(self._inner.apart(indices, specs)):
            row = self._rows[indices[place : place + 1].numpy()]
            own = {name: each.padded(row)[0] for name, each in self._written.items() if each.present[row[0]]}
            found.append(Sample(sample.inputs, {**sample.fields, **own}))
        return found

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return label fields of the rows at `indices` [B]."""
        others = [name for name in names if name not in self._written]
        own = [name for name in names if name in self._written]
        return {**(self._inner.fields_of(indices, others) if others else {}), **self._padded(indices, own)}

    def named(self, row: int) -> str:
        """Return what a row is called in messages."""
        return self._inner.named(row)

    def classes(self, field: str) -> Tensor:
        """Return the class of each row [N] on the host, −100 where there is none."""
        return self._inner.classes(field)

    def _padded(self, indices: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        rows = self._rows[indices.cpu().numpy()]
        return {name: self._written[name].padded(rows) for name in names}
