"""Files that are aligned line by line, one per language: train.en, train.de. They are read as one table."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.storage.fingerprints import Fingerprint
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.encodings import refuse_utf8
from mtl_cli.tables.paths import check_file, unknown_encoding, with_mark
from mtl_cli.tables.reading import BATCH_ROWS, COMPRESSED, NOT_READ, SUFFIXES, ReadOptions, TableFile

HOW = "All lines are of one encoding. Set it, such as encoding=latin-1, or write the files in UTF-8."


def is_lines(path: Path, format: str) -> bool:
    """Return True for a file whose name is not that of a table: each of its lines is a text."""
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    return format == "auto" and bool(endings) and endings[-1] not in (*SUFFIXES, *NOT_READ)


class AlignedLines(TableFile):
    """Files of one text per line, read side by side: a column for each.

    The others lie beside the first one and are named as it is, but for the ending, which is the name of their column.
    Columns without a file are left out. What is written from it is TSV.

    Args:
        path: the file of the first column.
        options: how files are read; only the encoding matters.
        first: name of the first column.
        others: names of further columns.

    Raises:
        UserError: a file is missing, or their numbers of lines differ.
    """

    def __init__(self, path: Path, options: ReadOptions, first: str, others: Sequence[str]) -> None:
        self.path, self.options, self.format, self.delimiter = path, options, "tsv", "\t"
        check_file(path, "a file of lines")
        self.files = {first: path, **beside(path, [name for name in others if name != first])}
        self.columns = list(self.files)
        self._lines = {name: lines_of(file, options.encoding) for name, file in self.files.items()}
        counts = {name: len(lines) for name, lines in self._lines.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{self.files[name]} has {count} lines" for name, count in counts.items())
            raise UserError(f"The files are not aligned: {told}. Line k of each is to be the same text.")

    @property
    def content_hash(self) -> str:
        """The SHA-256 digest of the files, in hex."""
        return Fingerprint.of(list(self.files.values())).digest

    @property
    def num_rows(self) -> int:
        """The number of lines."""
        return len(self._lines[self.columns[0]])

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[int, pa.RecordBatch]]":
        """Yield batches of some columns or all, each with the number of its first row, from 0; lines as they stand."""
        wanted = list(self.columns if columns is None else columns)
        for start in range(0, self.num_rows, BATCH_ROWS):
            arrays = [pa.array(self._lines[name][start : start + BATCH_ROWS], pa.string()) for name in wanted]
            yield start, pa.RecordBatch.from_arrays(arrays, names=wanted)

    def verbatim(self) -> "AlignedLines":
        """Return the same files: no line counts as missing because of its text."""
        return self

    def check_bytes(self) -> None:
        """Do nothing: lines are not quoted, and were read."""


def beside(path: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the files of columns, as far as they are there, that lie beside a file of lines."""
    wanted = {name: path.with_suffix(f".{name}") for name in names}
    return {name: file for name, file in wanted.items() if file.is_file() and file != path}


def lines_of(path: Path, encoding: str) -> list[str]:
    """Return the lines of a file, which end with line feeds, alone or after a carriage return.

    Raises:
        UserError: it cannot be read in this encoding.
    """
    try:
        with pa.input_stream(str(path)) as stream:
            held = stream.read()
        text = held.decode(with_mark(encoding))
    except LookupError as error:
        raise unknown_encoding(encoding, error) from error
    except UnicodeError as error:
        raise UserError(f"{path} is not {encoding}: {error}. {HOW}") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"Cannot read {path}: {error}.") from error
    refuse_utf8(path, encoding, [held])
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]
