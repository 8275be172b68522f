"""What a predictor in memory is; nothing here imports torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.given import Given, given

BATCH_SIZE = 4096
"""Rows that are read at a time."""
Predicted = dict[str, Any]
"""What is predicted of rows, by column: arrays [N]; of maps and boxes see `Predictor.predict`."""


class Predictor(ABC):
    """A trained model that predicts inputs in memory. `mtl_cli.load` makes one."""

    path: Path
    """Where it was loaded from."""

    @property
    @abstractmethod
    def tasks(self) -> list[str]:
        """The tasks that it predicts, in order."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """The columns of predictions, as mtl-predict names them."""

    def predict(self, data: object, *, batch_size: int = BATCH_SIZE) -> Predicted:
        """Return the columns that mtl-predict would write, each an array with one entry per row.

        `data` is a list of mappings, a DataFrame, an arrow table, a list of texts, paths or images, an array, a list of
        sentences (lists of words), or a `pathlib.Path` of a file or folder. Texts, such as names of classes, come as
        arrays of objects; of sentences a row holds an array, with an entry for each word. What a task says of pixels is
        an array [N, H, W] under its name, or a list where sizes differ; its boxes are a list with a mapping for each
        row: `boxes` [n, 4] in pixels (x₁, y₁, x₂, y₂), `scores` [n], `labels` [n].

        Raises:
            UserError: the inputs do not fit; column and row are named.
        """
        if type(batch_size) is not int or batch_size < 1:
            raise UserError(f"batch_size is {batch_size!r}; it is a whole number ≥ 1. Use batch_size={BATCH_SIZE}.")
        if isinstance(data, Path):
            return self.predict_path(data.expanduser(), batch_size)
        inputs = given(data)
        return by_sentence(self.predict_given(inputs, batch_size), inputs.sentences)

    def evaluate(self, *, split: str | None = None, input: str | Path | None = None) -> dict[str, Any]:
        """Return what mtl-eval finds on a split of the run's data ("test" by default), or on all rows of a file.

        Raises:
            UserError: the data does not fit, or this is a bundle, which does not know the run's data.
        """
        raise UserError(f"{self.path} is a bundle, which does not know the run's data. Use mtl_cli.evaluate(RUN_DIR).")

    @abstractmethod
    def predict_given(self, inputs: Given, batch_size: int) -> Predicted:
        """Return predictions of inputs in memory."""

    @abstractmethod
    def predict_path(self, path: Path, batch_size: int) -> Predicted:
        """Return predictions of a file or folder."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, tasks={self.tasks})"


def by_sentence(columns: Predicted, sentences: Sequence[Sequence[str]] | None) -> Predicted:
    """Return columns with an entry for each word as columns with an array for each sentence."""
    if sentences is None:
        return columns
    ends = np.cumsum([len(words) for words in sentences])
    found: Predicted = {}
    for name, values in columns.items():
        found[name] = np.empty(len(sentences), dtype=object)
        for row, part in enumerate(np.split(values, ends[:-1])):
            found[name][row] = part
    return found


def joined(parts: Sequence[Mapping[str, Any]]) -> Predicted:
    """Return the columns of all batches: arrays one after another, maps stacked where they are of one size."""
    found: Predicted = {}
    for name, first in parts[0].items():
        if isinstance(first, np.ndarray):
            found[name] = np.concatenate([part[name] for part in parts])
            continue
        rows = [row for part in parts for row in part[name]]
        alike = bool(rows) and all(isinstance(row, np.ndarray) and row.shape == rows[0].shape for row in rows)
        found[name] = np.stack(rows) if alike else rows
    return found
