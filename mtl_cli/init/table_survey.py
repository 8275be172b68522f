"""What mtl-init found in a table, and its lines of YAML and of the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mtl_cli.init.found_targets import association_sections, target_section
from mtl_cli.init.row_survey import RowSurvey, missing_lines, reading_lines
from mtl_cli.init.yaml_files import Section, Training, comment, entry, epochs, flow, some
from mtl_cli.tables.profile import ColumnProfile

BATCH = 128
LARGE = 20_000
"""Rows from which on ft_transformer is worth its time."""


@dataclass(frozen=True)
class TableSurvey(RowSurvey):
    """What becomes of a table's columns of inputs: `drop` gives the reason, `categorical` are mixed ones to declare."""

    dataset: ClassVar[str] = "tabular"

    columns: Mapping[str, ColumnProfile]
    drop: Mapping[str, str]
    categorical: tuple[str, ...]

    def option_lines(self) -> list[str]:
        """Return how the file is read, what becomes of its columns, and how its rows are divided."""
        lines = reading_lines(self.file)
        lines += missing_lines(self.file, self.missing)
        if self.categorical:
            why = "numbers and text; other columns are found by looking"
            lines.append(entry("categorical", list(self.categorical), why))
        targets = list(dict.fromkeys(name for guess in self.targets for name in guess.names))
        lines += ["drop:", *(f"  - {flow(name)}  {comment(reason)}" for name, reason in self.drop.items())]
        lines += ["  # targets, also those of tasks that are not chosen", *(f"  - {flow(name)}" for name in targets)]
        return [*lines, *self.dividing_lines()]

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
