"""Columns of running text, told from columns of names, categories and numbers by looking at their first rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mtl_cli.init.scripts import count_words, script_shares
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.cells import is_text
from mtl_cli.tables.reading import TableFile
from mtl_cli.texts.reading import text_batches

SAMPLE_ROWS, SAMPLE_CHARACTERS = 20_000, 5_000_000
DIFFERENT = 0.5
"""Share of the texts that are unlike all others: categories repeat themselves."""
SEVERAL, FEW, MANY = 4, 2, 8
"""Words of the middle text, or of it and of one text in ten: names and addresses have fewer."""
TITLE = 3
"""Words of the middle text from which on a column is a text beside another column of running text."""


@dataclass(frozen=True)
class TextColumn:
    """A column's texts in the first rows; a missing one is empty."""

    name: str
    texts: Sequence[str]

    @cached_property
    def present(self) -> list[str]:
        """The texts that are not empty."""
        return [text for text in self.texts if text.strip()]

    @cached_property
    def words(self) -> np.ndarray:
        """Words of each text that is not empty [n]."""
        return np.array([count_words(text) for text in self.present])

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of each script."""
        return script_shares(self.present)

    @property
    def distinct(self) -> int:
        """Number of different texts."""
        return len(set(self.present))

    @property
    def is_different(self) -> bool:
        """True where many texts are unlike all others."""
        return bool(self.present) and self.distinct >= DIFFERENT * len(self.present)

    @property
    def is_title(self) -> bool:
        """True for many different texts of a few words, as titles of running texts are."""
        return self.is_different and bool(np.median(self.words) >= TITLE)

    @property
    def is_running(self) -> bool:
        """True for many different texts of several words."""
        if not self.is_different:
            return False
        middle, most = np.quantile(self.words, [0.5, 0.9])
        return bool(middle >= SEVERAL or (middle >= FEW and most >= MANY))

    @property
    def told(self) -> str:
        """What the column holds, in words."""
        if not self.present:
            return "no text in the first rows"
        middle, most = np.quantile(self.words, [0.5, 0.95])
        scripts = ", ".join(f"{script} {share:.0%}" for script, share in self.shares.items() if share >= 0.005)
        said = f"{self.distinct} different texts in {len(self.texts)} rows, about {middle:.0f} words (95 %: {most:.0f})"
        empty = len(self.texts) - len(self.present)
        return f"{said}; {scripts or 'no letters'}" + (f"; {empty} empty" if empty else "")


def look_at(file: TableFile, names: Sequence[str]) -> dict[str, TextColumn]:
    """Return columns of text with the texts of the first rows.

    Raises:
        UserError: a column holds no text, or the file cannot be read.
    """
    parts: list[list[str]] = [[] for _ in names]
    characters = 0
    for batch in text_batches(file, names) if names else ():
        room = SAMPLE_ROWS - len(parts[0])
        for part, texts in zip(parts, batch, strict=True):
            part += texts[:room]
            characters += sum(map(len, texts[:room]))
        if len(parts[0]) >= SAMPLE_ROWS or characters >= SAMPLE_CHARACTERS * len(names):
            break
    return {name: TextColumn(name, part) for name, part in zip(names, parts, strict=True)}


def running_text(file: TableFile, others: Sequence[str]) -> list[TextColumn]:
    """Return the columns of running text of a file, with titles where there are such texts, but for `others`."""
    names = [name for name, kind in file.types.items() if may_be_text(kind) and name not in others]
    columns = look_at(file, names).values()
    if not any(column.is_running for column in columns):
        return []
    return [column for column in columns if column.is_running or column.is_title]


def may_be_text(kind: "pa.DataType") -> bool:
    """True for columns of text, also where Parquet stores each text once."""
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)
