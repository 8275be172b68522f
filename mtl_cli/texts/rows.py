"""One split of texts: pieces and label fields, padded batch by batch."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, LabelledSplit, Sample
from mtl_cli.tables.rows import EncodedRows, StoredRows
from mtl_cli.texts.ragged import Ragged


class TextRows(LabelledSplit):
    """Rows of pieces, each batch padded to its longest row.

    Inputs are `ids` int64 [B, L], `mask` bool [B, L], and where words have labels `words` bool [B, L], True at the
    first piece of each word.

    Args:
        ids: pieces of any row of the file.
        rows: the rows of this split [N].
        fields: labels, one per row of this split [N, ...], or per piece of any row, −100 except at words' first pieces.
        pad: number of the piece that fills rows up.
        words: 1 at the first piece of a word, where words have labels.
        table: the table columns of this split's rows, where there are any: further inputs, one per row.
    """

    def __init__(
        self,
        ids: Ragged,
        rows: np.ndarray,
        fields: Mapping[str, Tensor | Ragged],
        pad: int,
        words: Ragged | None = None,
        table: EncodedRows | StoredRows | None = None,
    ) -> None:
        self._table = table
        self._ids, self._rows, self._fields, self._pad, self._words = ids, rows, dict(fields), pad, words
        self.lengths = torch.from_numpy(ids.lengths[rows])
        """Length of each row, int64 [N]: rows of like lengths are batched."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        rows = self._rows[indices.numpy()]
        inputs = padded_inputs(self._ids, rows, self._pad, self._words)
        if self._table is not None:
            columns = self._table.__getitems__(indices).inputs
            assert not isinstance(columns, Tensor), "table columns are inputs by name"
            inputs |= columns
        return Sample(inputs, self.fields_of(indices, list(self._fields)))

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Return label fields of the rows at `indices` [B]."""
        rows = self._rows[indices.numpy()]
        found = {name: self._fields[name] for name in names}
        return {
            name: field.index_select(0, indices) if isinstance(field, Tensor) else padded_labels(field, rows)
            for name, field in found.items()
        }

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field: [N, ...], or one per piece, int32 [N, L], −100 where there is none."""
        labels = self._fields[field]
        if isinstance(labels, Tensor):
            return labels
        return padded_labels(labels, self._rows, torch.int32)


def padded_inputs(ids: Ragged, rows: np.ndarray, pad: int, words: Ragged | None = None) -> dict[str, Tensor]:
    """Return `ids` int64 [B, L], `mask` bool [B, L] and, where it is given, `words` bool [B, L] of some rows."""
    values, mask = ids.padded(rows, pad)
    inputs = {"ids": torch.from_numpy(values), "mask": torch.from_numpy(mask)}
    if words is not None:
        inputs["words"] = torch.from_numpy(words.padded(rows, 0)[0] > 0)
    return inputs


def padded_labels(labels: Ragged, rows: np.ndarray, dtype: torch.dtype = torch.int64) -> Tensor:
    """Return the labels of rows [B, L], −100 where there is none."""
    return torch.from_numpy(labels.padded(rows, MISSING_CLASS)[0]).to(dtype)
