"""Columns of text in files of rows, as they stand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import decoded, is_text
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import TableFile


def row_texts(rows: "pa.RecordBatch | pa.Table", columns: Sequence[str], path: Path, first_row: int) -> list[list[str]]:
    """Return the texts of each column; a missing one is empty.

    Raises:
        UserError: a column holds lists or bytes.
    """
    found = []
    for name in columns:
        array = decoded(rows.column(name))
        if not is_text(array.type):
            if pa.types.is_nested(array.type) or pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
                place = Place(path, name, first_row)
                raise place.error(0, f"cells of type {array.type} are not text", "Name another column: text=NAME.")
            array = array.cast(pa.string())
        found.append(["" if text is None else text for text in array.to_pylist()])
    return found


def text_batches(file: TableFile, columns: Sequence[str]) -> Iterator[list[list[str]]]:
    """Yield the texts of each column, in batches; a text such as "null" is not a missing value."""
    for first, batch in file.verbatim().batches(columns):
        yield row_texts(batch, columns, file.path, first)
