"""Files with one JSON object per line, read as a table of text."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.files import unique
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.paths import check_file
from mtl_cli.tables.reading import BATCH_ROWS, ReadOptions, TableFile
from mtl_cli.tables.writing import TableWriter

SUFFIXES = (".jsonl", ".ndjson")
READER = json.JSONDecoder(object_pairs_hook=unique)


class JsonLinesFile(TableFile):
    """A file whose lines are JSON objects; the columns are all of their keys, in the order in which they first occur.

    Numbers and truth values are read as the text that stands for them. Null, or a key that is not there, is a missing
    cell. `nested` are the columns that hold a list or an object in some row.

    Raises:
        UserError: the file is missing, empty, or the first lines are not objects.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options, self.format, self.delimiter = path, options, "jsonl", ","
        check_file(path, "a file of JSON lines")
        if options.column_names or options.delimiter:
            raise UserError(f"{path} is JSON lines, which names its columns. Drop column_names and delimiter.")
        kinds: dict[str, bool] = {}
        for _, row in self.objects():
            for key, value in row.items():
                kinds[key] = isinstance(value, dict | list) or kinds.get(key, False)
        self.columns = list(kinds)
        self.nested = [key for key, is_nested in kinds.items() if is_nested]
        if not self.columns:
            raise UserError(f"{path} has no row. Give a file with one JSON object per line.")

    @property
    def types(self) -> "dict[str, pa.DataType]":
        """The type of each column: text, or a map for nested ones."""
        inner = pa.map_(pa.string(), pa.string())
        return {name: inner if name in self.nested else pa.string() for name in self.columns}

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[int, pa.RecordBatch]]":
        """Yield batches of some columns or all, in the file's order, each with the number of its first row, from 0."""
        wanted = list(self.columns if columns is None else columns)
        missing = set(self.options.missing)
        first, rows = 0, []
        for line, row in self.objects():
            asked = 0 if columns is None else line  # where all columns are read, nested cells are kept as JSON
            rows.append([self._cell(row.get(name), name, asked, missing) for name in wanted])
            if len(rows) == BATCH_ROWS:
                yield first, _batch(rows, wanted)
                first, rows = first + len(rows), []
        if rows:
            yield first, _batch(rows, wanted)

    @property
    def num_rows(self) -> int | None:
        """Return None: the number is not known before the file was read."""
        return None

    def check_bytes(self) -> None:
        """Do nothing: every line is checked when it is read."""

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the number of each line that is not blank, from 1, and its object."""
        number = 0
        try:
            with io.TextIOWrapper(pa.input_stream(str(self.path)), encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield number, self._object(line, number)
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}, after line {number}: bytes that are not utf-8 ({error}).") from error
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"Cannot read {self.path}: {error}.") from error

    def _object(self, line: str, number: int) -> dict[str, Any]:
        try:
            row = READER.decode(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{self.path}, line {number}: not JSON ({error}). Each line is one object.") from error
        except ValueError as error:
            raise UserError(f"{self.path}, line {number}: {error}.") from error
        if not isinstance(row, dict):
            raise UserError(f"{self.path}, line {number}: a {type(row).__name__}; each line is a JSON object.")
        return row

    def _cell(self, value: Any, name: str, line: int, missing: set[str]) -> str | None:  # noqa: ANN401  any JSON value
        """Return a cell as text; lists and objects are refused, unless `line` is 0, where they are kept as JSON."""
        if isinstance(value, dict | list) and line:
            raise UserError(
                f"{self.path}, line {line}, column '{name}': a {'list' if isinstance(value, list) else 'nested object'}"
                " is not a cell. Leave the column out, or write columns of its own, or labels as one text: a;b."
            )
        if isinstance(value, bool | dict | list):
            return json.dumps(value, ensure_ascii=False)
        return None if value is None or str(value) in missing else str(value)


def _batch(rows: list[list[str | None]], names: list[str]) -> "pa.RecordBatch":
    columns = zip(*rows, strict=True) if names else []
    return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=names)


class JsonLinesWriter(TableWriter):
    """Writes the objects of `like` as they are, each with further keys, to a file that appears whole or not at all.

    Raises:
        UserError: `path` is the file of `like`, or its folder cannot be written.
    """

    def __init__(self, path: Path, like: JsonLinesFile) -> None:
        if path.suffix.lower() not in SUFFIXES:
            name = path.name.split(".")[0]
            raise UserError(f"output is {path}; {like.path} is JSON lines. Give output={name}.jsonl.")
        super().__init__(path, like)
        self._objects = like.objects()

    def write(self, batch: "pa.RecordBatch", columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Append the objects of a batch, the next in the file, with the cells of `columns`, each [B].

        Raises:
            RunFailure: the disk is full or the folder cannot be written.
        """
        with self.failing():
            if self.file is None:
                self.file = self.temporary.open("w", encoding="utf-8")
            added = [values.tolist() for values in columns.values()]
            for cells, (_, row) in zip(zip(*added, strict=True), self._objects, strict=False):
                self.file.write(
                    json.dumps({**row, **dict(zip(columns, cells, strict=True))}, ensure_ascii=False) + "\n"
                )
