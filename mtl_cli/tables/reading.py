"""Files of tables, read in batches of rows: CSV and TSV as text, Parquet with the types that it declares."""

import csv
import functools
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtl_cli.config.annotations import one_of
from mtl_cli.config.options import Options, option
from mtl_cli.errors import UserError, nearest
from mtl_cli.storage.fingerprints import Fingerprint
from mtl_cli.tables.arrow import pa, pq
from mtl_cli.tables.csv_faults import MARK, QuotePairs, csv_fault, open_quote
from mtl_cli.tables.csv_rows import CsvRows
from mtl_cli.tables.dates import ORDERS
from mtl_cli.tables.encodings import refuse_utf8
from mtl_cli.tables.line_ends import UTF_8
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.paths import check_file, unknown_encoding, with_mark
from mtl_cli.tables.place import Place

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl",
    ".ndjson": "jsonl", ".feather": "feather", ".arrow": "feather",
}  # fmt: skip
WORKBOOK = "a workbook, which is not read. Save the sheet as CSV (UTF-8), and give that file."
NOT_READ = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".numbers"), WORKBOOK),
    ".zip": "a zip archive, which is not read. Unpack it, and give the file in it; .gz, .bz2 and .zst are read.",
    ".7z": "an archive, which is not read. Unpack it, and give the file in it; .gz, .bz2 and .zst are read.",
    ".json": "one JSON value, which is not read. Write one object per line, and name the file .jsonl.",
}
"""What files are, by the ending of their names, and what to do."""
SEPARATOR_LINE = re.compile("sep=.", re.IGNORECASE)
COMPRESSED = (".gz", ".bz2", ".zst")
FORMATS = ("auto", "csv", "tsv", "parquet", "jsonl", "feather")
BATCH_ROWS, READ_BYTES = 1 << 15, 1 << 20


@dataclass(frozen=True, kw_only=True)
class ReadOptions(Options):
    """How files are read."""

    format: str = "auto"
    """auto (by the file's name), csv, tsv, jsonl, parquet or feather."""
    delimiter: str | None = None
    """Character between cells; None is a comma, or a tab in TSV."""
    encoding: str = "utf-8"
    """Encoding of CSV and TSV."""
    column_names: Sequence[str] | None = None
    """Names of the columns of a file without a header."""
    missing_values: Sequence[str | float] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")
    """What a cell without a value holds; columns of text are read as they stand."""
    decimal: str = option(".", choices=(".", ","))
    """Sign before the fraction of a number."""
    thousands: str | None = option(None, choices=(".", ",", " ", "'"))
    """Sign between thousands; None where there is none."""
    number_signs: Sequence[str] = ()
    """Signs of units before or after numbers, such as % and $, which are left out."""
    date_order: str | None = option(None, choices=ORDERS)
    """Order of day and month where numbers of both come before the year: dmy or mdy; with None these are not dates."""

    @property
    def missing(self) -> list[str]:
        """What a cell without a value holds, as text."""
        return [str(value) for value in self.missing_values]

    @property
    def notation(self) -> Notation:
        """How numbers and dates are written."""
        return Notation(tuple(self.missing), self.decimal, self.thousands, tuple(self.number_signs), self.date_order)

    def problems(self) -> list[str]:
        """Return what is wrong with the options, each and together."""
        problems = super().problems()
        if not problems and self.decimal == self.thousands:
            problems.append(f"decimal and thousands are both '{self.decimal}'. Use for example thousands=null.")
        return problems


class TableFile:
    """A file of a table: the columns are known at once, the rows are read in batches.

    Raises:
        UserError: the file is missing or damaged, of an unknown format, has no header, or names a column twice.
    """

    fitted = False
    """Whether the file is read for a model that is there already, so that messages name no options of a dataset."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.format = table_format(path, options.format)
        self.delimiter = options.delimiter or ("\t" if self.format == "tsv" else ",")
        if len(self.delimiter) != 1:
            raise UserError(f"delimiter is '{self.delimiter}'; it is one character. Use for example delimiter=';'.")
        check_file(path, "the file of a table")
        self._has_rows, self._blank_lines = True, 0
        self._may_be_quoted = True
        """Whether a cell may hold the end of a line; where none does, Arrow reads in half the time."""
        names = self._parquet().schema_arrow.names if self.format == "parquet" else self._header()
        self.columns = [name if name else f"unnamed_{index}" for index, name in enumerate(names, start=1)]
        self.check_columns()

    @functools.cached_property
    def content_hash(self) -> str:
        """The SHA-256 digest of the file, in hex; computed once."""
        return Fingerprint.of([self.path]).digest

    @property
    def is_text(self) -> bool:
        """True where every cell is text: CSV and TSV."""
        return self.format in ("csv", "tsv")

    @property
    def types(self) -> "dict[str, pa.DataType]":
        """The type of each column; text in CSV."""
        if self.is_text:
            return dict.fromkeys(self.columns, pa.string())
        return dict(zip(self.columns, self._parquet().schema_arrow.types, strict=True))

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[int, pa.RecordBatch]]":
        """Yield batches of some columns or all, in the file's order, each with the number of its first row, from 0.

        In CSV, missing cells are null; cells of Parquet are as they are.

        Raises:
            UserError: a row has more or fewer cells than the header, or bytes that are not text; it says where.
        """
        wanted = list(self.columns if columns is None else columns)
        return numbered(self._csv_batches(wanted) if self.is_text else self._parquet_batches(wanted))

    def batches_with(self, floats: Collection[str], columns: Sequence[str]) -> "Iterator[tuple[int, pa.RecordBatch]]":
        """Yield what `batches` does; where there are `floats`, the file is CSV, and these columns are float64.

        Raises:
            NotFloats: a cell of them is not a number as computers write it, or what `batches` raises would be.
        """
        return numbered(self._csv_batches(list(columns), floats)) if floats else self.batches(columns)

    def _csv_batches(self, wanted: list[str], floats: Collection[str] = ()) -> "Iterator[pa.RecordBatch]":
        how, has_header = self.options, self.options.column_names is None
        rows = CsvRows(
            self.path, self.columns, self.delimiter, how.encoding, how.missing, has_header, self._blank_lines,
            self._may_be_quoted,
        )  # fmt: skip
        return rows.batches(wanted, floats) if self._has_rows else iter(())

    def _parquet_batches(self, wanted: list[str]) -> "Iterator[pa.RecordBatch]":
        file = self._parquet()
        stored = dict(zip(self.columns, file.schema_arrow.names, strict=True))
        try:
            for batch in file.iter_batches(BATCH_ROWS, columns=[stored[name] for name in wanted]):
                yield pa.RecordBatch.from_arrays([batch.column(stored[name]) for name in wanted], names=wanted)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path} is damaged: {error}. Write it again.") from error

    def _parquet(self) -> "pq.ParquetFile":
        try:
            return pq.ParquetFile(self.path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path} is not a Parquet file, or is damaged: {error}. Or set format=csv.") from error

    @property
    def num_rows(self) -> int | None:
        """The number of rows where the file says it: Parquet."""
        return None if self.is_text else self._parquet().metadata.num_rows

    def _header(self) -> list[str]:
        encoding = with_mark(self.options.encoding)
        try:
            stream = pa.input_stream(str(self.path))
            with io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="") as text:
                records = csv.reader(text, delimiter=self.delimiter)
                first: list[str] = []
                for first in records:
                    if first:
                        break
                    self._blank_lines = records.line_num
                names = list(self.options.column_names or ()) or first
                headless = bool(first and self.options.column_names)
                # pyarrow takes a header without rows for a file that is cut off
                self._has_rows = headless or next(filter(None, records), None) is not None
        except LookupError as error:
            raise unknown_encoding(self.options.encoding, error) from error
        except (UnicodeError, csv.Error, OSError, pa.ArrowException) as error:
            raise UserError(f"Cannot read {self.path}: {error}.") from error
        if not names:
            raise UserError(f"{self.path} has no header: every line is empty. Give a file with rows.")
        line = self.delimiter.join(first)
        if SEPARATOR_LINE.fullmatch(line):
            raise UserError(f"{self.path} begins with '{line}', a line of Excel's. Delete it.")
        if any(MARK in name for name in names):
            raise csv_fault(self.path, self.options.encoding, self.delimiter, 0, True, ValueError(names))
        return [name.strip() for name in names]

    def check_bytes(self) -> None:
        """Refuse a quoted cell that never ends, which would swallow rows, and UTF-8 that is read in another encoding.

        Raises:
            UserError: there is such a cell, whose row is named, or the file is UTF-8; the whole of it is read.
        """
        if not self.is_text:
            return
        quotes = QuotePairs(self.delimiter)
        for block in self._blocks():
            quotes.add(block)
        refuse_utf8(self.path, self.options.encoding, self._blocks())
        self._may_be_quoted = quotes.count > 0 or self.options.encoding.lower() not in UTF_8
        odd = quotes.count % 2 or not quotes.fit
        if odd and (fault := open_quote(self.path, self.options.encoding, self.delimiter)):
            raise fault

    def _blocks(self) -> Iterator[bytes]:
        """Yield the bytes of the file, decompressed where its name says so."""
        with pa.input_stream(str(self.path)) as stream:
            while block := stream.read(READ_BYTES):
                yield block

    def place(self, name: str, first_row: int = 0) -> Place:
        """Return where cells of a column stand, for messages."""
        return Place(self.path, name, first_row, self.fitted)

    def verbatim(self) -> "TableFile":
        """Return the same file, read so that no cell counts as missing because of its text."""
        return type(self)(self.path, replace(self.options, missing_values=()))

    def check_columns(self) -> None:
        """Refuse columns of one name, and a file that looks as if another sign parted its cells."""
        twice = [name for name in dict.fromkeys(self.columns) if self.columns.count(name) > 1]
        if twice:
            places = [str(index) for index, name in enumerate(self.columns, start=1) if name == twice[0]]
            raise UserError(
                f"{self.path} has the column '{twice[0]}' {len(places)} times (columns {', '.join(places)}). "
                "Rename one in the file."
            )
        if len(self.columns) > 1 or not self.is_text:
            return
        others = [other for other in DELIMITERS if other != self.delimiter and other in self.columns[0]]
        if others:
            shown = {"\t": "\\t"}.get(others[0], others[0])
            found = DELIMITERS.get(self.delimiter, repr(self.delimiter))
            raise UserError(
                f"{self.path} has one column, '{self.columns[0]}', when {found} separates cells. Its delimiter looks "
                f"like {DELIMITERS[others[0]]}: set \"tasks.NAME.dataset.delimiter='{shown}'\" for each task; in "
                f"mtl-init \"delimiter='{shown}'\"."
            )


def numbered(batches: "Iterator[pa.RecordBatch]") -> "Iterator[tuple[int, pa.RecordBatch]]":
    """Yield batches, each with the number of its first row, from 0."""
    row = 0
    for batch in batches:
        yield row, batch
        row += batch.num_rows


def table_format(path: Path, format: str) -> str:
    """Return csv, tsv, jsonl, parquet or feather; "auto" goes by the name's ending, also before .gz, .bz2 or .zst.

    Raises:
        UserError: the name does not show the format.
    """
    if format not in FORMATS:
        raise UserError(one_of("format", format, FORMATS))
    if format != "auto":
        return format
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    if suffixes and (why := NOT_READ.get(suffixes[-1])):
        raise UserError(f"{path} is {why}")
    if not suffixes or suffixes[-1] not in SUFFIXES:
        raise UserError(
            f"The name of {path} does not show its format ({', '.join(SUFFIXES)}). Set format={', '.join(FORMATS[1:])}."
        )
    return SUFFIXES[suffixes[-1]]


def require_columns(wanted: Sequence[str], present: Sequence[str], path: Path) -> None:
    """Refuse a file that lacks any of the columns that are needed.

    Raises:
        UserError: columns are missing; all of them are named.
    """
    if absent := [name for name in wanted if name not in present]:
        listed = ", ".join(f"'{name}'" for name in absent[:10]) + (", …" if len(absent) > 10 else "")
        some = ", ".join(present[:10]) + (", …" if len(present) > 10 else "")
        alike = [name for name in present if name.lower() == absent[0].lower()]
        hint = f" Did you mean '{alike[0]}'?" if alike else nearest(absent[0], present)
        raise UserError(f"{path} has no column {listed}.{hint} Its columns: {some}.")
