"""New inputs of a data source, for predictions: how they are read without labels, and where predictions are written."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from torch import Tensor

from mtl_cli.batch import Frame, Values
from mtl_cli.errors import UserError
from mtl_cli.storage.file_writer import FileWriter

DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class NewRows:
    """Rows without labels, in the order in which they were read.

    `inputs` [B, ...] are the model's; `names` identify the rows, such as the stems of image files. `own` is what the
    writer of the same `Reading` needs of them. Where `places` [B, L] is given, a prediction is made at each place that
    is True, such as the first piece of each word. `frames` say where each image lies in inputs [B, C, H, W]; without
    them it fills them.
    """

    inputs: Values
    names: Sequence[str]
    own: Any = None
    places: Tensor | None = None
    frames: Sequence[Frame] = ()


class Writer(Protocol):
    """A table of predictions that appears whole at the block's end, or not at all."""

    def __enter__(self) -> Self:
        """Begin the table."""
        ...

    def write(self, rows: NewRows, columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Append rows with the cells of `columns`, each [B], or one per place.

        Raises:
            RunFailure: the disk is full or the folder cannot be written.
        """
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the table."""
        ...


class Reading(ABC):
    """Reads the new inputs of one file or folder for one data source."""

    unit: ClassVar[str] = "row"
    """What is counted while it is read."""
    suffix: ClassVar[str] = ".csv"
    """Ending of the table of predictions, where it is written into a folder."""
    into_folder: ClassVar[bool] = False
    """Whether an output without an ending is a folder for that table, also where no task makes files."""
    names: Sequence[str] = ()
    """Names of all rows, where they are known at once."""
    max_rows: int | None = None
    """Rows that go through the model at once; None leaves that to the command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield all rows, at most `size` at a time; where there are no rows, yield one empty batch.

        Raises:
            UserError: a row cannot be read; its place is named.
        """

    @property
    def num_rows(self) -> int | None:
        """Number of rows, or None where it is known only at the end."""
        return None

    @property
    def uneven(self) -> bool:
        """Whether batches may end before they are full."""
        return False

    def leave_out_bad(self) -> None:
        """Leave out rows that cannot be read, instead of an error, and say which they are.

        Raises:
            UserError: such rows are always an error.
        """
        raise UserError(
            f"skip_bad=true leaves out images and sounds; {self.path} is read by {self.unit}. Leave skip_bad out."
        )

    @property
    def columns(self) -> Sequence[str]:
        """Columns that the table of predictions has before those of the tasks."""
        return ("row",)

    def writer(self, target: Path, columns: Sequence[str]) -> Writer:
        """Return what writes the rows with further `columns`: CSV or TSV, each row by its name.

        Raises:
            UserError: nothing can be written there.
        """
        return RowWriter(target, self.path, [*self.columns, *columns])


class RowWriter(FileWriter):
    """Writes names of rows with their predictions as CSV or TSV."""

    def __init__(self, path: Path, like: Path, columns: Sequence[str]) -> None:
        super().__init__(path, like)
        if path.suffix.lower() not in DELIMITERS:
            raise UserError(
                f"output is {path}; the predictions for {like} are written as CSV or TSV. "
                f"Give output={path.with_suffix('.csv')}."
            )
        self.columns = list(columns)
        self._rows: Any = None

    def __enter__(self) -> Self:
        with self.failing():
            self.file = self.temporary.open("w", encoding="utf-8", newline="")
            delimiter = DELIMITERS[self.path.suffix.lower()]
            self._rows = csv.writer(self.file, delimiter=delimiter, lineterminator="\n")
            self._rows.writerow(self.columns)
        return self

    def write(self, rows: NewRows, columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Append rows with the cells of `columns`, each [B]."""
        cells = [values.astype(str).tolist() for values in columns.values()]
        with self.failing():
            self._rows.writerows(zip(rows.names, *cells, strict=True))


class Beside:
    """Makes a `Writer` of a writer that takes batches as they were read."""

    def __init__(self, writer: Any) -> None:  # noqa: ANN401  a FileWriter with `write(own, columns)`
        self.inner = writer

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def write(self, rows: NewRows, columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Append the batch that `rows.own` holds."""
        self.inner.write(rows.own, columns)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inner.__exit__(kind, error, trace)
