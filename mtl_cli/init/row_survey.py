"""What mtl-init found in any file of rows, and its lines of YAML and of the report: reading, targets, dividing."""

from collections.abc import Mapping
from dataclasses import dataclass

from mtl_cli.init.found_targets import dividing_lines, found_task, target_section
from mtl_cli.init.guess import Guess
from mtl_cli.init.inputs import FoundInputs
from mtl_cli.init.proposals import few_rows
from mtl_cli.init.yaml_files import FileSurvey, FoundTask, Section, entry, told_division
from mtl_cli.tables.profile import Profile
from mtl_cli.tables.reading import ReadOptions, TableFile


@dataclass(frozen=True)
class FoundRows:
    """What was found in a file of rows, read as it is written.

    `missing` are, by column of a target, words that stand for no label; `notes` say how cells are read.
    """

    file: TableFile
    profile: Profile
    targets: tuple[Guess, ...]
    missing: Mapping[str, tuple[str, ...]]
    inputs: FoundInputs
    notes: tuple[str, ...]
    group: str | None
    split: str | None

    @property
    def dividing(self) -> list[str]:
        """Columns that say how rows are divided."""
        return [name for name in (self.group, self.split) if name]


@dataclass(frozen=True)
class RowSurvey(FileSurvey):
    """A file of rows; subclasses know what their dataset does with its columns of inputs."""

    found: FoundRows

    @property
    def encoding(self) -> str | None:
        """The encoding of CSV and TSV."""
        return self.found.file.options.encoding if self.found.file.is_text else None

    @property
    def size(self) -> str:
        """Rows and columns."""
        return f"{self.found.profile.rows} rows, {len(self.found.file.columns)} columns"

    @property
    def how(self) -> str:
        """Format, and of CSV and TSV encoding and delimiter."""
        file = self.found.file
        if file.format not in ("csv", "tsv"):
            return file.format
        return f"{file.format}, {file.options.encoding}, delimiter {file.delimiter!r}"

    @property
    def tasks(self) -> list[FoundTask]:
        """A task for each target."""
        return [found_task(guess, self.found.missing) for guess in self.found.targets]

    def dividing_lines(self) -> list[str]:
        """Return the YAML of how rows are divided: by a column of splits or groups or, without one, in strata."""
        return dividing_lines(self.found.split, self.found.group, self.found.targets)

    def first_sections(self) -> list[Section]:
        """Return the parts of the report that come first: what deserves a look, how cells are read, targets."""
        found = self.found
        look = Section("Look at these columns first: they may hold the answer", found.inputs.warnings)
        how = Section("How it is read", [*found.notes, *told_division(found.split, found.group)])
        odd = Section("Look at this too", [*found.inputs.notes, *few_rows(found.profile.rows)])
        filled = [section for section in (look, odd, how) if section.lines]
        return [*filled, target_section(found.targets, found.profile.rows)]


def reading_lines(file: TableFile) -> list[str]:
    """Return the YAML of what a file's name does not tell: every option of reading that is not the default."""
    lines = []
    for key, default in vars(ReadOptions()).items():
        value = file.delimiter if key == "delimiter" else getattr(file.options, key)
        if key == "delimiter":
            default = {"tsv": "\t"}.get(file.format, ",")
        if value != default and (key != "delimiter" or file.is_text):
            lines.append(entry(key, list(value) if isinstance(value, tuple) else value))
    return lines
