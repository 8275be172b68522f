"""What mtl-init found in a table, and its lines of YAML and of the report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mtl_cli.init_yaml import FileSurvey, FoundTask, Section, Training, epochs, listed, quoted, some
from mtl_cli.tables.found_targets import association_sections, found_task, target_lines, target_section
from mtl_cli.tables.guess import Guess
from mtl_cli.tables.profile import ColumnProfile
from mtl_cli.tables.reading import TableFile

BATCH = 128
LARGE = 20_000
"""Rows from which on ft_transformer is worth its time."""


@dataclass(frozen=True)
class TableSurvey(FileSurvey):
    """How a table is written, its rows, targets, and inputs by what becomes of them.

    `drop` gives the reason by column, `categorical` are mixed columns to declare, `missing` are values to add to the
    missing ones, `target_missing` the same by target.
    """

    dataset: ClassVar[str] = "tabular"

    file: TableFile
    rows: int
    columns: Mapping[str, ColumnProfile]
    targets: tuple[Guess, ...]
    drop: Mapping[str, str]
    categorical: tuple[str, ...]
    missing: tuple[str, ...]
    target_missing: Mapping[str, tuple[str, ...]]
    group: str | None

    @property
    def size(self) -> str:
        """Rows and columns."""
        return f"{self.rows} rows, {len(self.file.columns)} columns"

    @property
    def how(self) -> str:
        """Format, and of text encoding and delimiter."""
        return how_written(self.file)

    @property
    def tasks(self) -> list[FoundTask]:
        """A task for each target."""
        return [found_task(guess) for guess in self.targets]

    def option_lines(self) -> list[str]:
        """Return how the file is read, what becomes of its columns, and its targets."""
        lines = reading_lines(self.file)
        lines += missing_lines(self.file, self.missing)
        if self.categorical:
            lines.append(
                f"categorical: {listed(self.categorical)}  # numbers and text; other columns are found by looking"
            )
        if self.drop:
            lines.append("drop:")
            lines += [f"  - {quoted(name)}  # {reason}" for name, reason in self.drop.items()]
        return [*lines, *group_lines(self.group), *target_lines(self.targets, self.target_missing)]

    def report(self) -> list[Section]:
        """Return targets, inputs and how the targets hang together."""
        return [
            target_section(self.targets, self.rows),
            Section("Inputs", self._input_lines()),
            *association_sections(self.targets),
        ]

    def training(self) -> Training:
        """Return the backbone and the epochs."""
        large = ["or backbone=ft_transformer, slower and often better on tables of this size"]
        return Training(["backbone=tabular", *epochs(self.rows, BATCH)], large if self.rows >= LARGE else [])

    def _input_lines(self) -> list[str]:
        """Return what becomes of the other columns, by kind."""
        answers = {name for guess in self.targets for name in guess.names}
        kinds: dict[str, list[str]] = {}
        for name, column in self.columns.items():
            if name not in answers and name not in self.drop:
                mixed = "text" if name in self.categorical else "number"
                kinds.setdefault({"mixed": mixed, "empty": "number"}.get(column.kind, column.kind), []).append(name)
        words = {"number": "numeric", "date": "dates (days since 1970)", "text": "categorical"}
        lines = [f"{words[kind]}: {some(kinds[kind])}" for kind in words if kind in kinds]
        lines += [f"drop {name}: {reason}" for name, reason in self.drop.items()]
        lines += [f"{name} holds numbers and text: declared categorical" for name in self.categorical]
        return lines + [f"'{value}' counts as missing: the only text in a column of numbers" for value in self.missing]


def how_written(file: TableFile) -> str:
    """Return format, and of CSV and TSV encoding and delimiter, in words."""
    if file.format not in ("csv", "tsv"):
        return file.format
    return f"{file.format}, {file.options.encoding}, delimiter {file.delimiter!r}"


def reading_lines(file: TableFile) -> list[str]:
    """Return the YAML of what a file's name does not tell: its format, delimiter and encoding."""
    lines = [] if file.options.format == "auto" else [f"format: {file.options.format}"]
    if file.delimiter != {"tsv": "\t"}.get(file.format, ","):
        lines.append(f"delimiter: {json.dumps(file.delimiter)}")
    return lines if file.options.encoding == "utf-8" else [*lines, f"encoding: {file.options.encoding}"]


def missing_lines(file: TableFile, missing: Sequence[str]) -> list[str]:
    """Return the YAML of missing values, where there are further ones."""
    values = [*file.options.missing_values, *missing]
    return [f"missing_values: {listed(values)}  # {', '.join(missing)}: the only text among numbers"] if missing else []


def group_lines(group: str | None) -> list[str]:
    """Return the YAML of the column of groups, where there is one."""
    return [f"group_column: {quoted(group)}  # no group is in two splits"] if group else []
