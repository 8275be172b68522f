"""Opens a file of rows by its format, and says what a file is that holds something else than its name says."""

from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.tables.feather import FeatherFile
from mtl_cli.tables.json_lines import JsonLinesFile
from mtl_cli.tables.paths import check_file
from mtl_cli.tables.reading import COMPRESSED, ReadOptions, TableFile, table_format

READERS: dict[str, type[TableFile]] = {"jsonl": JsonLinesFile, "feather": FeatherFile}
BEGINNINGS = {
    b"PK\x03\x04": "a zip archive or a workbook. Save the sheet as CSV, or unpack it, and give that file.",
    b"\xd0\xcf\x11\xe0": "an old workbook. Save the sheet as CSV, and give that file.",
    b"PAR1": "a Parquet file. Set format=parquet, or name it .parquet.",
    b"ARROW1": "a Feather file. Set format=feather, or name it .feather.",
    b"\x1f\x8b": "compressed by gzip. Let its name end with .gz.",
    b"\x28\xb5\x2f\xfd": "compressed by zstd. Let its name end with .zst.",
    b"BZh": "compressed by bzip2. Let its name end with .bz2.",
    b"SQLite format 3": "a database. Write the table as CSV or Parquet.",
}
"""How files begin that are not text, and what they are."""


def open_file(path: Path, options: ReadOptions) -> TableFile:
    """Return a file of rows, by its format or by its name.

    Raises:
        UserError: it cannot be read, or is of an unknown or another format.
    """
    format = table_format(path, options.format)
    if format in ("csv", "tsv", "jsonl"):
        check_text(path, format)
    return READERS.get(format, TableFile)(path, options)


def check_text(path: Path, format: str) -> None:
    """Refuse a file that is missing, or begins as files do that are not text.

    Raises:
        UserError: it says what the file is.
    """
    check_file(path, "the file of a table")
    if path.suffix.lower() in COMPRESSED:
        return
    with path.open("rb") as stream:
        head = stream.read(16)
    if kind := next((kind for beginning, kind in BEGINNINGS.items() if head.startswith(beginning)), None):
        raise UserError(f"{path} is not {format.upper()}: it is {kind}")
