"""What mtl-init found in a file of texts beside texts that are to be written of them, and its lines of YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.init.asked import Asked
from mtl_cli.init.found_targets import dividing_lines
from mtl_cli.init.pair_advice import PairAdvice, advise_pairs
from mtl_cli.init.row_survey import reading_lines
from mtl_cli.init.sniff import encoding_of_all
from mtl_cli.init.splits import split_of
from mtl_cli.init.survey import open_unknown
from mtl_cli.init.yaml_files import FileSurvey, FoundTask, Section, Training, entry, some, told_division
from mtl_cli.tables.aligned_lines import AlignedLines, beside, is_lines
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns
from mtl_cli.texts.reading import text_batches

FEWEST_GROUPS = 10
"""Different sources from which on rows of one source are kept in one split."""


@dataclass(frozen=True)
class WrittenColumn:
    """A column of texts; an empty one is missing."""

    name: str
    texts: Sequence[str]

    @property
    def present(self) -> list[str]:
        """The texts that are not empty."""
        return [text for text in self.texts if text.strip()]

    @property
    def told(self) -> str:
        """What it holds, in words."""
        found = self.present
        words = int(np.median([len(text.split()) for text in found]))
        letters = int(np.median([len(text) for text in found]))
        missing = len(self.texts) - len(found)
        lost = f"; {missing} of {len(self.texts)} empty, which are missing labels" if missing else ""
        return (
            f"{len(found)} texts, {len(set(found))} different; the middle one has {words} word{'s' * (words != 1)} and "
            f"{letters} characters, the longest {max(map(len, found))}{lost}"
        )


@dataclass(frozen=True)
class PairSurvey(FileSurvey):
    """A column of sources, and columns that are to be written of them."""

    dataset: ClassVar[str] = "parallel"

    file: TableFile
    source: WrittenColumn
    targets: Mapping[str, WrittenColumn]
    """The columns to write, by the name of their task."""
    advice: PairAdvice
    split: str | None
    group: str | None
    shared: int = 0
    """Different sources that a column of splits puts into several."""

    @property
    def encoding(self) -> str | None:
        """The encoding of CSV, TSV and lines."""
        return self.file.options.encoding if self.file.is_text else None

    @property
    def size(self) -> str:
        """Rows and columns."""
        return f"{len(self.source.texts)} rows, {len(self.file.columns)} columns"

    @property
    def how(self) -> str:
        """The format."""
        if isinstance(self.file, AlignedLines):
            return f"lines of {some([str(path) for path in self.file.files.values()])}, side by side"
        return f"{self.file.format}, pairs of texts"

    @property
    def tasks(self) -> list[FoundTask]:
        """A task for each column to write."""
        metrics = self.advice.metrics
        return [
            FoundTask(
                name=name,
                kind="text",
                why=f"written of {self.source.name}",
                target="mtl_cli.tasks.seq2seq.Seq2Seq",
                arguments=self.advice.task_lines(),
                primary=metrics[0],
                others=", ".join(metrics[1:]),
                reading={} if column.name == name else {"column": column.name},
            )
            for name, column in self.targets.items()
        ]

    def option_lines(self) -> list[str]:
        """Return how the file is read, its source, how texts are cut and how rows are divided."""
        told = self.file.options.encoding
        encoding = [entry("encoding", told)] if told != "utf-8" else []
        reading = encoding if isinstance(self.file, AlignedLines) else reading_lines(self.file)
        divided = dividing_lines(self.split, self.group, ())
        return [*reading, entry("source", self.source.name), *self.advice.option_lines(), *divided]

    def report(self) -> list[Section]:
        """Return what is read, what is written of it, and what was chosen."""
        divided = told_division(self.split, self.group)
        if self.shared:
            divided.append(f"look at this: {self.shared} different sources are in several splits, which tests memory")
        sections = [Section("How it is read", divided)] if divided else []
        targets = [
            f"{name}: a text that is written, of column {column.name}: {column.told}"
            for name, column in self.targets.items()
        ]
        return [
            *sections,
            Section("Targets", targets),
            Section("Inputs", [f"source {self.source.name}: {self.source.told}"]),
            Section("Chosen for them", self.advice.told()),
        ]

    def training(self) -> Training:
        """Return backbone, batch size and epochs."""
        return self.advice.training


def survey_pairs(path: Path, source: str, reading: ReadOptions, asked: Asked) -> PairSurvey:
    """Return a first look at a file of pairs: a table, or files that are aligned by lines.

    Raises:
        UserError: a column is missing, empty, or the source and a target at once.
    """
    if several := ["+".join(columns) for columns in asked.targets.values() if len(columns) > 1]:
        raise UserError(f"target {several[0]}: a text that is written is one column. Use 'target=[de,fr]'.")
    columns = {name: each[0] for name, each in asked.targets.items()}
    if source in columns.values():
        raise UserError(
            f"Column '{source}' is source= and in target=. Leave it out of target=; a denoising task on it is written "
            "by hand: mtl_cli/datasets/README.md."
        )
    if is_lines(path, reading.format):
        if "encoding" not in asked.told:
            reading = replace(reading, encoding=encoding_of_all([path, *beside(path, columns.values()).values()]))
        file: TableFile = AlignedLines(path, reading, source, list(columns.values()))
        if absent := [name for name in columns.values() if name not in file.columns]:
            raise UserError(
                f"There is no file {path.with_suffix('.' + absent[0])}, the lines of '{absent[0]}' beside {path}. "
                "Name a column of a table, or give the file."
            )
    else:
        file = open_unknown(path, reading, asked.told)
    require_columns([source, *asked.taken], file.columns, path)
    found = read_texts(file, [source, *columns.values()])
    others = [name for name in file.columns if name not in (source, *asked.taken)]
    texts = [name for name in others if file.is_text or file.types[name] == "string"]
    split = asked.split or (None if asked.group else split_of(file, texts))
    different = len(set(found[source].present))
    repeated = FEWEST_GROUPS <= different < len(found[source].present)
    return PairSurvey(
        file=file,
        source=found[source],
        targets={name: found[column] for name, column in columns.items()},
        advice=advise_pairs(found[source].texts, {name: found[column].texts for name, column in columns.items()}),
        split=split,
        group=asked.group or (source if repeated and not split else None),
        shared=in_several(found[source].texts, read_texts(file, [split])[split].texts) if repeated and split else 0,
    )


def in_several(texts: Sequence[str], splits: Sequence[str]) -> int:
    """Return how many different texts are in more than one split."""
    places: dict[str, set[str]] = {}
    for text, split in zip(texts, splits, strict=True):
        places.setdefault(text, set()).add(split)
    return sum(len(each) > 1 for text, each in places.items() if text.strip())


def read_texts(file: TableFile, names: Sequence[str]) -> dict[str, WrittenColumn]:
    """Return columns of texts.

    Raises:
        UserError: there are fewer than two rows, or a column has no text.
    """
    texts: dict[str, list[str]] = {name: [] for name in names}
    for batch in text_batches(file, names):
        for name, column in zip(names, batch, strict=True):
            texts[name] += column
    found = {name: WrittenColumn(name, column) for name, column in texts.items()}
    rows = len(texts[names[0]])
    if rows < 2:
        raise UserError(f"{file.path} has {rows} row{'s' * (rows != 1)}; training needs 2 or more.")
    for name, each in found.items():
        if not each.present:
            raise UserError(f"{file.path}, column '{name}' has no text in any row. Name another column.")
    return found
