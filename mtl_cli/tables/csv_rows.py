"""Reads the rows of a CSV file in batches of Arrow: as text, or columns whose text says no more as numbers."""

import traceback
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path

from mtl_cli.tables.arrow import arrow_csv, pa
from mtl_cli.tables.csv_faults import csv_fault
from mtl_cli.tables.line_ends import csv_stream, settle

BLOCK_BYTES = (1 << 18, 1 << 22, 1 << 25)
"""What Arrow parses at once, and holds 32 times, since it reads ahead; where a row is longer, the next."""
JOINED = (4, 16)
"""Blocks of the first size in the first batch, and in the others: small blocks save memory, large batches time."""
TOO_LONG = "straddling object"
"""What Arrow says of a row that is longer than a block."""


class NotFloats(Exception):
    """Columns cannot be read as numbers: a cell is not one, or the file has a fault, which reading text tells."""


@dataclass(frozen=True)
class CsvRows:
    """The rows of a CSV file; `blank_lines` stand above the header or the first row.

    Where no cell `may_be_quoted`, Arrow need not look for line ends in cells.
    """

    path: Path
    columns: Sequence[str]
    delimiter: str
    encoding: str
    missing: Sequence[str]
    has_header: bool
    blank_lines: int
    may_be_quoted: bool

    def batches(self, wanted: list[str], floats: Collection[str] = ()) -> "Iterator[pa.RecordBatch]":
        """Yield some columns as text, or float64 where they are `floats`; missing cells are null.

        Raises:
            UserError: a row has more or fewer cells than the header, or bytes that are not text; it says where.
            NotFloats: there are `floats`, and the file cannot be read with them.
        """
        rows = 0
        for size in BLOCK_BYTES:
            known = rows
            try:
                blocks = self._blocks(wanted, floats, size)
                for batch in joined(blocks) if size == BLOCK_BYTES[0] else blocks:
                    again = min(known, batch.num_rows)
                    known, rows = known - again, rows + batch.num_rows - again
                    if not again or again < batch.num_rows:
                        yield batch.slice(again)
                return
            except (pa.ArrowException, UnicodeError, OSError) as error:
                if TOO_LONG in str(error) and size != BLOCK_BYTES[-1]:
                    continue
                if floats:
                    raise NotFloats from error
                raise csv_fault(
                    self.path, self.encoding, self.delimiter, len(self.columns), self.has_header, error
                ) from error

    def _blocks(self, wanted: list[str], floats: Collection[str], block_bytes: int) -> "Iterator[pa.RecordBatch]":
        stream = csv_stream(self.path, self.encoding)
        left = weakref.ref(stream)
        try:
            yield from self._reader(pa.PythonFile(stream, mode="r"), wanted, floats, block_bytes)
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # they hold the stream
            raise
        finally:
            del stream
            settle(left)

    def _reader(
        self, stream: "pa.PythonFile", wanted: list[str], floats: Collection[str], block_bytes: int
    ) -> "arrow_csv.CSVStreamingReader":
        return arrow_csv.open_csv(
            stream,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=block_bytes,
                column_names=self.columns,
                skip_rows=self.blank_lines,
                skip_rows_after_names=1 if self.has_header else 0,
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=self.may_be_quoted),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(self.columns, pa.string()) | dict.fromkeys(floats, pa.float64()),
                include_columns=wanted,
                null_values=self.missing,
                strings_can_be_null=True,
            ),
        )


def joined(blocks: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Yield larger batches, each of as many blocks as `JOINED` says."""
    numbers = chain(JOINED[:1], repeat(JOINED[1]))
    while some := list(islice(blocks, next(numbers))):
        yield from pa.Table.from_batches(some).combine_chunks().to_batches()
