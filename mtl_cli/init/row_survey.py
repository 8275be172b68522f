"""What mtl-init found in any file of rows, and its lines of YAML: how it is written, groups and targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.init.found_targets import found_task, stratum_lines
from mtl_cli.init.guess import Guess
from mtl_cli.init.yaml_files import FileSurvey, FoundTask, entry, group_lines
from mtl_cli.tables.reading import TableFile


@dataclass(frozen=True)
class RowSurvey(FileSurvey):
    """How a file of rows is written, its rows, targets and column of groups.

    `missing` are values to add to the missing ones, `target_missing` the same by target.
    """

    file: TableFile
    rows: int
    targets: tuple[Guess, ...]
    target_missing: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]
    group: str | None

    @property
    def size(self) -> str:
        """Rows and columns."""
        return f"{self.rows} rows, {len(self.file.columns)} columns"

    @property
    def how(self) -> str:
        """Format, and of CSV and TSV encoding and delimiter."""
        if self.file.format not in ("csv", "tsv"):
            return self.file.format
        return f"{self.file.format}, {self.file.options.encoding}, delimiter {self.file.delimiter!r}"

    @property
    def tasks(self) -> list[FoundTask]:
        """A task for each target."""
        return [found_task(guess, self.target_missing) for guess in self.targets]

    def dividing_lines(self) -> list[str]:
        """Return the YAML of how rows are divided: by the column of groups or, without one, in strata of a target."""
        return group_lines(self.group) if self.group else stratum_lines(self.targets)


def reading_lines(file: TableFile) -> list[str]:
    """Return the YAML of what a file's name does not tell: its format, delimiter and encoding."""
    lines = [] if file.options.format == "auto" else [entry("format", file.options.format)]
    if file.delimiter != {"tsv": "\t"}.get(file.format, ","):
        lines.append(entry("delimiter", file.delimiter))
    return lines if file.options.encoding == "utf-8" else [*lines, entry("encoding", file.options.encoding)]


def missing_lines(file: TableFile, missing: Sequence[str]) -> list[str]:
    """Return the YAML of missing values, where there are further ones."""
    if not missing:
        return []
    values = [*file.options.missing, *missing]
    return [entry("missing_values", values, f"{', '.join(missing)}: the only text among numbers")]
