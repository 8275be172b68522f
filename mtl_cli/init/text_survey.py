"""What mtl-init found in a file with columns of running text, and its lines of YAML and of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mtl_cli.errors import UserError
from mtl_cli.init.advice import SMALL, Advice, advise_texts
from mtl_cli.init.found_targets import association_sections, target_section
from mtl_cli.init.row_survey import RowSurvey, missing_lines, reading_lines
from mtl_cli.init.running_text import TextColumn
from mtl_cli.init.scripts import script_shares
from mtl_cli.init.survey import find_inputs, guess_targets, read_labels
from mtl_cli.init.yaml_files import Section, Training, comment, entry, some
from mtl_cli.tables.profile import profile
from mtl_cli.tables.reading import TableFile, require_columns


@dataclass(frozen=True)
class TextSurvey(RowSurvey):
    """Columns of text, what fits them, and table columns beside them; `left` are those left out, with the reason."""

    dataset: ClassVar[str] = "text"

    texts: tuple[TextColumn, ...]
    advice: Advice
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    left: Mapping[str, str]

    def option_lines(self) -> list[str]:
        """Return how the file is read, its texts and how it is divided, and the columns that are left out."""
        names = [column.name for column in self.texts]
        lines = [*reading_lines(self.file), *(comment(f"{column.name}: {column.told}") for column in self.texts)]
        lines.append(entry("text", names[0] if len(names) == 1 else names))
        lines += [*self.advice.option_lines(), *missing_lines(self.file, self.missing)]
        kinds = {"numeric": self.numeric, "categorical": self.categorical}
        lines += [entry(kind, list(names), "beside the text") for kind, names in kinds.items() if names]
        lines += [comment(f"left out: {name}: {reason}") for name, reason in self.left.items()]
        return [*lines, *self.dividing_lines()]

    def report(self) -> list[Section]:
        """Return targets, texts, what was chosen for them and how the targets hang together."""
        inputs = [f"text {column.name}: {column.told}" for column in self.texts]
        kinds = {"numeric": self.numeric, "categorical": self.categorical}
        beside = [f"{kind}: {some(names)}" for kind, names in kinds.items() if names]
        left = [f"left out {name}: {reason}" for name, reason in self.left.items()]
        return [
            target_section(self.targets, self.rows),
            Section("Inputs", [*inputs, *beside, *left]),
            Section("Chosen for them", self.advice.told()),
            *association_sections(self.targets),
        ]

    def training(self) -> Training:
        """Return backbone, batch size and epochs."""
        return Training(self.advice.overrides, hints_on(self.rows, "texts"))


def hints_on(rows: int, what: str) -> list[str]:
    """Return what may be better where there are few texts."""
    if rows >= SMALL:
        return []
    return [
        f"{rows} {what} are few: a pretrained encoder may do better (pip install 'mtl-cli[hf]'; backbone=hf",
        "backbone.path=MODEL, and in the dataset tokenizer: hf, tokenizer_path: MODEL)",
    ]


def survey_text(
    file: TableFile, texts: Sequence[TextColumn], targets: Mapping[str, Sequence[str]], group: str | None
) -> TextSurvey:
    """Return a first look at a file with columns of text, given the columns of each target, and that of groups.

    Raises:
        UserError: a column is missing, a target is a text, or nothing can be learnt from it.
    """
    answers = list(dict.fromkeys(column for columns in targets.values() for column in columns))
    names = [column.name for column in texts]
    require_columns([*answers, *([group] if group else [])], file.columns, file.path)
    if both := [name for name in names if name in (*answers, group)]:
        raise UserError(f"Column '{both[0]}' is the text and in target= or group=. Leave it out of one of them.")
    beside = [name for name in file.columns if name not in (*answers, *names, group)]
    found = profile(file, [*answers, *beside])
    if found.rows < 2:
        raise UserError(f"{file.path} has {found.rows} row{'s' * (found.rows != 1)}; training needs 2 or more.")
    if not any(column.present for column in texts):
        raise UserError(f"{file.path}: the text ({', '.join(names)}) is empty in the first rows. Name another: text=…")
    labels, missing = read_labels(file, found.columns, answers, found.rows)
    guesses = guess_targets(file, labels, targets, found.rows, missing)
    shares = script_shares(text for column in texts for text in column.present)
    advice = advise_texts([column.texts for column in texts], shares, found.rows)
    inputs = find_inputs(file, found, beside, labels.values())
    used = [name for name in beside if name not in inputs.drop]
    words = [name for name in used if name in inputs.categorical or found.columns[name].kind == "text"]
    return TextSurvey(
        file=file,
        rows=found.rows,
        targets=guesses,
        target_missing=missing,
        texts=tuple(texts),
        advice=advice,
        numeric=tuple(name for name in used if name not in words),
        categorical=tuple(words),
        left=inputs.drop,
        missing=inputs.missing,
        group=group,
    )
