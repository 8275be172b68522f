"""New inputs that are in memory, such as rows of a program or of a request, in the few forms that datasets read."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtl_cli.errors import UserError

if TYPE_CHECKING:
    from mtl_cli.tables.arrow import pa

GIVEN = Path("The input")
"""What stands in messages where the path of a file would."""
FORMS = (
    "a list of mappings, a DataFrame, an arrow table, a list of texts or of paths, an array, a list of images, or a "
    "list of sentences (lists of words)"
)


@dataclass(frozen=True)
class Given:
    """Inputs in memory: in one of these forms, the others are None.

    `table` are rows with named columns, `strings` texts or paths of files, `arrays` one array [N, ...] or a sequence of
    images (arrays [H, W], [H, W, C], [C, H, W], or Pillow's), `sentences` lists of words.
    """

    table: "pa.Table | None" = None
    strings: Sequence[str] | None = None
    arrays: "np.ndarray[Any, Any] | Sequence[Any] | None" = None
    sentences: Sequence[Sequence[str]] | None = None

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        if self.table is not None:
            return int(self.table.num_rows)
        return len(next(each for each in (self.strings, self.arrays, self.sentences) if each is not None))

    def __str__(self) -> str:
        """What it is, for messages."""
        if self.table is not None:
            return f"rows with the columns {', '.join(self.table.column_names[:10]) or '(none)'}"
        if self.strings is not None:
            return "texts or paths"
        return "arrays or images" if self.arrays is not None else "sentences of words"


def given(data: object) -> Given:
    """Return inputs of any supported form.

    Raises:
        UserError: they are of another form.
    """
    if isinstance(data, Given):
        return data
    if isinstance(data, str | bytes | Mapping) or hasattr(data, "getexif"):
        path = " The path of a file or folder is a pathlib.Path." if isinstance(data, str) else ""
        raise UserError(f"The input is one {type(data).__name__}; give {FORMS}: predict([…]).{path}")
    if not hasattr(data, "columns") and (cells := getattr(data, "to_pylist", getattr(data, "to_list", None))):
        return given_rows(cells())  # one column
    if isinstance(data, np.ndarray) and data.dtype.kind in "OUT":
        return given_rows(data.tolist())
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return Given(table=arrow_table(data))
    if hasattr(data, "to_dict") and hasattr(data, "columns"):  # a DataFrame from before the protocol of Arrow
        return Given(table=table_of_rows(data.to_dict("records")))
    if isinstance(data, np.ndarray) or hasattr(data, "detach"):
        return Given(arrays=data if isinstance(data, np.ndarray) else data.detach().cpu().numpy())
    if not isinstance(data, Iterable):
        raise UserError(f"The input is of type {type(data).__name__}; give {FORMS}.")
    return given_rows(list(data))


def given_rows(rows: Sequence[Any]) -> Given:
    """Return inputs that are given one by one; all of them are of the kind of the first.

    Raises:
        UserError: they are of several kinds, or of one that is not read.
    """
    if not rows:
        return Given(table=table_of_rows([]))
    kinds: list[tuple[Any, str]] = [
        (Mapping, "a mapping"), ((str, Path), "a text or path"), (list | tuple, "a list of words"),
        ((int, float, np.number), "a number"),
    ]  # fmt: skip
    kind, word = next(((kind, word) for kind, word in kinds if isinstance(rows[0], kind)), (object, ""))
    if other := next(((at, row) for at, row in enumerate(rows, start=1) if not isinstance(row, kind)), None):
        raise UserError(f"The input, row {other[0]}, is a {type(other[1]).__name__}; row 1 is {word}.")
    if kind is Mapping:
        return Given(table=table_of_rows(rows))
    if kind == (str, Path):
        return Given(strings=[str(row) for row in rows])
    if kind == list | tuple and all(isinstance(word, str) for row in rows for word in row):
        return Given(sentences=rows)
    if kind is object:
        return Given(arrays=rows)
    try:
        return Given(arrays=np.asarray(rows, dtype=np.float64))
    except (ValueError, TypeError) as error:
        raise UserError(
            "The input is neither an array (lists of numbers, all as long) nor sentences (lists of words)."
        ) from error


def arrow_table(data: Any) -> "pa.Table":  # noqa: ANN401  whatever offers Arrow's protocol
    """Return a table of Arrow, of pandas or of another library that speaks Arrow's protocol.

    Raises:
        UserError: a column holds what Arrow cannot, or is named twice.
    """
    from mtl_cli.tables.arrow import pa

    try:
        table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(f"The input cannot be read as a table: {error}.") from error
    index = [name for name in table.column_names if name.startswith("__index_level_")]  # of pandas
    return table.drop_columns(index)


def table_of_rows(rows: Sequence[Mapping[str, Any]]) -> "pa.Table":
    """Return rows as a table: all keys, in the order of their first place.

    None, NaN, and a key that is not there are missing cells. A column of numbers alone holds numbers, others hold texts
    as a file of JSON lines does.

    Raises:
        UserError: a key is not text, or a cell is a list or a mapping.
    """
    from mtl_cli.tables.arrow import pa

    names = list(dict.fromkeys(key for row in rows for key in row))
    if strange := [key for key in names if not isinstance(key, str)]:
        raise UserError(f"The input has a column named {strange[0]!r}; the name of a column is text.")
    if rows and not names:
        raise UserError(f"The input has no column in any of its {len(rows)} rows.")
    columns = [column_of([row.get(name) for row in rows], name) for name in names]
    return pa.Table.from_arrays(columns, names=names)


def column_of(cells: Sequence[Any], name: str) -> "pa.Array":
    """Return a column of numbers where all cells are numbers or missing, else of texts.

    Raises:
        UserError: a cell is not one value.
    """
    from mtl_cli.tables.arrow import pa

    texts = [cell_text(cell, name, row) for row, cell in enumerate(cells)]
    present = [cell for cell, text in zip(cells, texts, strict=True) if text is not None]
    plain = all(isinstance(cell, int | float | np.number) and not isinstance(cell, bool) for cell in present)
    if plain and present:
        whole = all(isinstance(cell, int | np.integer) for cell in present)
        numbers = [None if text is None else (int(text) if whole else float(text)) for text in texts]
        try:
            return pa.array(numbers, pa.int64() if whole else pa.float64())
        except (pa.ArrowException, OverflowError):  # whole numbers of more than 64 bits stay texts
            pass
    return pa.array(texts, pa.string())


def cell_text(value: Any, name: str, row: int) -> str | None:  # noqa: ANN401  any value
    """Return a cell as a file of JSON lines would hold it, as text; None where it is missing.

    Raises:
        UserError: it is not one value.
    """
    if value is None or str(value) in ("<NA>", "NaT"):  # pandas' own
        return None
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else str(float(value))
    if isinstance(value, bool | np.bool_):
        return json.dumps(bool(value))
    if isinstance(value, Mapping | list | tuple | set | bytes | np.ndarray):
        raise UserError(f"The input, row {row + 1}, column '{name}': a {type(value).__name__} is not a cell.")
    return str(value)


def stacked_arrays(arrays: "np.ndarray[Any, Any] | Sequence[Any]") -> "np.ndarray[Any, Any]":
    """Return arrays of one shape as one array [N, ...].

    Raises:
        UserError: their shapes differ, or they do not hold numbers.
    """
    try:
        found = np.asarray(arrays)
    except ValueError as error:
        raise UserError(f"The input has arrays of several shapes: {error}. Give arrays of one shape.") from error
    if found.dtype.kind not in "iufb":
        raise UserError(f"The input holds {found.dtype}; numbers are needed.")
    return found
