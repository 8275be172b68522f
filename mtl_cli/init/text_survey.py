"""What mtl-init found in a file with columns of running text, and its lines of YAML and of the report."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from mtl_cli.errors import UserError
from mtl_cli.init.advice import SMALL, Advice, advise_texts
from mtl_cli.init.asked import Asked
from mtl_cli.init.found_targets import association_sections
from mtl_cli.init.guess import OWN_VALUES
from mtl_cli.init.row_survey import FoundRows, RowSurvey, reading_lines
from mtl_cli.init.running_text import TextColumn
from mtl_cli.init.scripts import script_shares
from mtl_cli.init.survey import survey_rows
from mtl_cli.init.text_notes import copied_texts, telling_words
from mtl_cli.init.yaml_files import Section, Training, comment, entry, some
from mtl_cli.tables.reading import TableFile


@dataclass(frozen=True)
class TextSurvey(RowSurvey):
    """Columns of text, what fits them, and table columns beside them."""

    dataset: ClassVar[str] = "text"

    texts: tuple[TextColumn, ...]
    advice: Advice
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    def option_lines(self) -> list[str]:
        """Return how the file is read, its texts and how it is divided, and the columns that are left out."""
        names = [column.name for column in self.texts]
        lines = [*reading_lines(self.found.file), *(comment(f"{column.name}: {column.told}") for column in self.texts)]
        lines += [entry("text", names[0] if len(names) == 1 else names), *self.advice.option_lines()]
        kinds = {"numeric": self.numeric, "categorical": self.categorical}
        lines += [entry(kind, list(names), "beside the text") for kind, names in kinds.items() if names]
        lines += [entry("scale", "quantile", "by rank, so that long tails do no harm")] if self.numeric else []
        lines += [comment(f"left out: {name}: {reason}") for name, reason in self.found.inputs.drop.items()]
        return [*lines, *self.dividing_lines()]

    def report(self) -> list[Section]:
        """Return what deserves a look, targets, texts, what was chosen and how the targets hang together."""
        inputs = [f"text {column.name}: {column.told}" for column in self.texts]
        kinds = {"numeric": self.numeric, "categorical": self.categorical}
        inputs += [f"{kind}: {some(names)}" for kind, names in kinds.items() if names]
        inputs += [f"{name} is categorical: {reason}" for name, reason in self.found.inputs.categorical.items()]
        inputs += [f"left out {name}: {reason}" for name, reason in self.found.inputs.drop.items()]
        return [
            *self.first_sections(),
            Section("Inputs", inputs),
            Section("Chosen for them", self.advice.told()),
            *association_sections(self.found.targets),
        ]

    def training(self) -> Training:
        """Return backbone, batch size and epochs."""
        return Training(self.advice.overrides, hints_on(self.found.profile.rows, "texts"))


def hints_on(rows: int, what: str) -> list[str]:
    """Return what may be better where there are few texts."""
    if rows >= SMALL:
        return []
    return [
        f"{rows} {what} are few: a pretrained encoder may do better (pip install 'mtl-cli[hf]'; backbone=hf",
        "backbone.path=MODEL, and in the dataset tokenizer: hf, tokenizer_path: MODEL)",
    ]


def with_way_to_text(found: FoundRows, texts: Sequence[str]) -> FoundRows:
    """Return what was found, with how to read a column of different texts as a text, where it is left out."""
    drop = dict(found.inputs.drop)
    for name, reason in found.inputs.drop.items():
        if OWN_VALUES in reason and found.profile.columns[name].kind == "text":
            way = shlex.quote(f"text=[{','.join([*texts, name])}]")
            drop[name] = f"{reason}. To read it as a text too: {way}"
    return replace(found, inputs=replace(found.inputs, drop=drop))


def survey_text(file: TableFile, texts: Sequence[TextColumn], asked: Asked) -> TextSurvey:
    """Return a first look at a file with columns of text.

    Raises:
        UserError: a target is a text, or nothing can be learnt from it.
    """
    names = [column.name for column in texts]
    if both := [name for name in names if name in asked.taken]:
        raise UserError(
            f"Column '{both[0]}' is the text and in target=, group=, split= or drop=. Leave it out of one of them."
        )
    if not any(column.present for column in texts):
        raise UserError(f"{file.path}: the text ({', '.join(names)}) is empty in the first rows. Name another: text=…")
    found = with_way_to_text(survey_rows(file, asked, names), names)
    telling = tuple(note for column in texts for note in telling_words(column, found.targets))
    copied = tuple(note for column in texts for note in copied_texts(column))
    seen = replace(found.inputs, warnings=found.inputs.warnings + telling, notes=found.inputs.notes + copied)
    found = replace(found, inputs=seen)
    shares = script_shares(text for column in texts for text in column.present)
    advice = advise_texts([column.texts for column in texts], shares, found.profile.rows)
    taken = (*asked.taken, *names, *found.dividing, *found.inputs.drop)
    used = [name for name in file.columns if name not in taken]
    kinds = found.profile.columns
    words = [name for name in used if name in found.inputs.categorical or kinds[name].kind == "text"]
    numbers = tuple(name for name in used if name not in words)
    return TextSurvey(found, tuple(texts), advice, numbers, tuple(words))
