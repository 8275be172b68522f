"""Files with one word per line, and its labels: CoNLL, with columns by position, and CoNLL-U."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mtl_cli.config.options import Options, option
from mtl_cli.errors import UserError
from mtl_cli.tables.encodings import other_encoding, refuse_utf8
from mtl_cli.tables.paths import check_file, unknown_encoding, with_mark
from mtl_cli.tables.place import Place

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
SUFFIXES = {".conllu": "conllu", ".conllup": "conllu"}
NO_WORD = re.compile(r"\d+[-.]\d+")
"""The numbers that CoNLL-U gives to multi-word tokens and to empty nodes."""
GLOBAL = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
COMMENT = re.compile(r"#\s*([^=]+?)\s*=\s*(.*?)\s*$")
KEY_VALUE = re.compile(r"#\s+[^=\s][^=]*=|#[^=\s]+\s+=\s")
"""A comment on a sentence, as against a word such as #tag or #a=b."""
DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True, kw_only=True)
class ConllOptions(Options):
    """How files are read."""

    format: str = option(example="auto", choices=("auto", "conll", "conllu"))
    """auto (by the file's name), conll or conllu."""
    columns: Sequence[str] | None
    """Names of the columns of CoNLL, in order; CoNLL-U names its own."""
    word: str | None
    """Column of the words; None is the column form in CoNLL-U, and the first column in CoNLL."""
    encoding: str
    """Encoding of the file."""

    def format_of(self, path: Path) -> str:
        """Return conll or conllu."""
        return SUFFIXES.get(path.suffix.lower(), "conll") if self.format == "auto" else self.format


@dataclass
class Sentence:
    """One sentence: the numbers (from 1) and the cells of the lines of its words, and what its comments say."""

    lines: list[int] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)


class ConllFile:
    """A file of sentences: words are lines, blank lines separate sentences, comments begin with #.

    Lines of CoNLL-U for multi-word tokens (1-2) and empty nodes (1.1) do not hold a word of their own and are left out.
    Lines may end in any way. The last sentence does not need a blank line after it.

    Raises:
        UserError: the file is missing, its columns are not known, or it lacks the column of words.
    """

    def __init__(self, path: Path, options: ConllOptions) -> None:
        self.path, self.options = path, options
        check_file(path, "a CoNLL file")
        with path.open("rb") as blocks:
            refuse_utf8(path, options.encoding, blocks)
        self.format = options.format_of(path)
        self.columns, self.separator = self._layout()
        words = options.word or ("form" if self.format == "conllu" else self.columns[0])
        if words.lower() not in [name.lower() for name in self.columns]:
            raise UserError(
                f"{path} has no column '{words}' of words. Its columns: {', '.join(self.columns)}. Set word=NAME."
            )
        self.word = self.index(words)
        numbered = self.format == "conllu" and "id" in [name.lower() for name in self.columns]
        self._number = self.index("id") if numbered else None

    def index(self, name: str) -> int:
        """Return where a column stands; capitals do not count.

        Raises:
            UserError: there is no column of that name.
        """
        names = [column.lower() for column in self.columns]
        if name.lower() not in names:
            raise UserError(f"{self.path} has no column '{name}'. Its columns: {', '.join(self.columns)}.")
        return names.index(name.lower())

    def sentences(self) -> Iterator[Sentence]:
        """Yield the sentences that have a word, in order. Comments on a document apply to all of its sentences.

        Raises:
            UserError: a line has more or fewer cells than there are columns, or bytes that are not text.
        """
        sentence, document = Sentence(), 0
        for number, line in self.lines():
            if not line.strip():
                if sentence.cells:
                    yield sentence
                    sentence = Sentence(comments=kept(sentence.comments))
                continue
            cells = self.cells(line)
            if self.is_comment(line, cells, first=not sentence.cells):
                if comment := COMMENT.match(line):
                    sentence.comments[comment[1]] = comment[2]
                continue
            if line.split()[0] == DOCUMENT:
                document += 1
                sentence.comments["document"] = str(document)
                continue
            if len(cells) != len(self.columns):
                raise self.misfit(number, cells, line)
            if self._number is not None and NO_WORD.fullmatch(cells[self._number]):
                continue
            sentence.lines.append(number)
            sentence.cells.append(cells)
        if sentence.cells:
            yield sentence

    def lines(self) -> Iterator[tuple[int, str]]:
        """Return the number of each line, from 1, and the line without its end.

        Raises:
            UserError: it holds bytes that are not text.
        """
        return read_lines(self.path, self.options.encoding)

    def cells(self, line: str) -> list[str]:
        """Return the cells of a line."""
        return line.split("\t") if self.separator == "\t" else line.split()

    def is_comment(self, line: str, cells: Sequence[str], first: bool) -> bool:
        """Return True for a comment; `first` says that no word of its sentence stands before it.

        In CoNLL, a line with # in front and one cell per column is a word such as #tag, unless it stands before a
        sentence and says that a key has a value (# sent_id = 3).
        """
        if not line.startswith("#"):
            return False
        if self.format == "conllu" or len(cells) != len(self.columns):
            return True
        return first and self.separator != "\t" and KEY_VALUE.match(line) is not None

    def misfit(self, number: int, cells: Sequence[str], line: str) -> UserError:
        """Return the error for a line with a wrong number of cells."""
        fix = f"Each word needs {len(self.columns)} cells ({', '.join(self.columns)}), separated by "
        fix += "tabs." if self.separator == "\t" else "spaces or tabs."
        some = line if len(line) <= 40 else f"{line[:40]}…"
        return UserError(f"{self.path}, line {number}: '{some}' has {len(cells)} cells, not {len(self.columns)}. {fix}")

    def _layout(self) -> tuple[list[str], str]:
        """Return the names of the columns and what separates cells, by the first lines."""
        names, first = first_line(self.path, self.options.encoding)
        separator = "\t" if "\t" in first or self.format == "conllu" else " "
        found = len(first.split("\t") if separator == "\t" else first.split())
        if self.format == "conllu":
            return names or list(CONLLU), separator
        if self.options.columns is None and names is None:
            raise UserError(
                f"{self.path} is CoNLL, whose columns have no names; its first line has {found}: '{first[:60]}'. Name "
                "them in order: columns=[word,…]."
            )
        return list(self.options.columns or names or ()), separator


def read_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the number of each line of a file, from 1, and the line without its end.

    Raises:
        UserError: it holds bytes that are not text.
    """
    number = 0
    try:
        with path.open(encoding=with_mark(encoding)) as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line.rstrip("\n")
    except UnicodeError as error:
        raise UserError(
            f"{path}, after line {number}: bytes that are not {encoding} ({error}). Set "
            f"the file's encoding, for example tasks.NAME.dataset.encoding={other_encoding(path)}."
        ) from error
    except LookupError as error:
        raise unknown_encoding(encoding, error) from error


def first_line(path: Path, encoding: str) -> tuple[list[str] | None, str]:
    """Return the names of columns, if a comment gives them, and the first line with a word.

    Raises:
        UserError: the file has no word.
    """
    names: list[str] | None = None
    for _, line in read_lines(path, encoding):
        if named := GLOBAL.match(line):
            names = named[1].split()
        if line.strip() and not line.startswith(("#", DOCUMENT)):
            return names, line
    raise UserError(f"{path} has no word: every line is blank or a comment.")


def kept(comments: dict[str, str]) -> dict[str, str]:
    """Return the comments that also apply to the next sentence: those on documents."""
    return {key: value for key, value in comments.items() if key == "document" or key.startswith("newdoc")}


class Sentences:
    """All sentences of a file: words, values of some columns, and comments, by which they are divided like a table.

    `codes` int32 [words] are, by column, numbers of `values`; sentence i has words `offsets[i]` … `offsets[i + 1] - 1`.
    """

    def __init__(self, file: ConllFile, columns: Sequence[str]) -> None:
        self.path = file.path
        self.words: list[list[str]] = []
        self.comments: list[dict[str, str]] = []
        self.lines: list[int] = []
        known: dict[str, dict[str, int]] = {name: {} for name in columns}
        codes: dict[str, list[int]] = {name: [] for name in columns}
        places = {name: file.index(name) for name in columns}
        for sentence in file.sentences():
            self.words.append([cells[file.word] for cells in sentence.cells])
            self.comments.append(sentence.comments)
            self.lines += sentence.lines
            for name, at in places.items():
                numbers = known[name]
                codes[name] += [numbers.setdefault(cells[at], len(numbers)) for cells in sentence.cells]
        self.codes = {name: np.array(each, dtype=np.int32) for name, each in codes.items()}
        self.values = {name: list(each) for name, each in known.items()}
        self.offsets = np.cumsum([0, *(len(words) for words in self.words)]).astype(np.int64)

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.words)

    def text(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return what comments `name` say: codes int64 [N], -1 where there is none, and the values that they number."""
        known: dict[str, int] = {}
        found = [comments.get(name) for comments in self.comments]
        codes = [-1 if value is None else known.setdefault(value, len(known)) for value in found]
        return np.array(codes, dtype=np.int64), list(known)

    def has(self, name: str) -> bool:
        """Return True, since comments may have any key; a sentence whose comments lack it has no value."""
        return True

    def number(self, name: str) -> np.ndarray:
        """Never called: comments are not read as numbers."""
        raise AssertionError(f"{name} is read as text")

    def place(self, name: str) -> Place:
        """Return where comments stand, for messages; rows are sentences."""
        return Place(self.path, name)
