"""What mtl-init found in a file of one word a line, and its lines of YAML and of the report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from mtl_cli.errors import UserError, nearest
from mtl_cli.init.advice import Advice, advise_words
from mtl_cli.init.conll_looking import MAX_LABELS, MISSING, with_names
from mtl_cli.init.found_targets import CLASS_WEIGHTS, class_statistics
from mtl_cli.init.scripts import script_shares
from mtl_cli.init.text_survey import hints_on
from mtl_cli.init.yaml_files import FileSurvey, FoundTask, Section, Training, entry, group_lines, some
from mtl_cli.texts.conll import ConllFile, ConllOptions, Sentences
from mtl_cli.texts.span_labels import iobes

SAMPLE_SENTENCES = 20_000
RARE = 5
"""Sentences below which a label may be in none of the training split."""
TOKENS = "mtl_cli.tasks.token_classification.TokenClassification"
ARGUMENTS = (
    CLASS_WEIGHTS
    + """\
    spans: {spans}  # auto, conll or none: whether labels such as B-PER, I-PER mark spans
    head: {{_target_: mtl_cli.heads.tokens.TokenHead, hidden: [], dropout: 0.0, activation: relu, init: default}}
"""
)


@dataclass(frozen=True)
class WordColumn:
    """A column beside the words: its labels by frequency, words without one, and sentences of its rarest label."""

    name: str
    counts: dict[str, int]
    missing: int
    rarest: int

    @property
    def span_types(self) -> list[str]:
        """The types of the spans that the labels mark; [""] where they have none; empty where they mark no spans."""
        marked = iobes(list(self.counts))
        return [] if marked is None else sorted({label.partition("-")[2] for label in marked if label != "O"})

    @property
    def why(self) -> str:
        """What the labels are, in words."""
        if kinds := self.span_types:
            named = f" of {len(kinds)} types ({some(kinds, 6)})" if kinds != [""] else ""
            return f"{len(self.counts)} labels that mark spans{named}"
        return f"{len(self.counts)} labels"

    @property
    def depth(self) -> tuple[bool, int]:
        """A key by which simple targets come first: labels of words before spans, few before many."""
        return bool(self.span_types), len(self.counts)

    @property
    def task(self) -> FoundTask:
        """The task on the column."""
        primary, others = ("span_f1", "accuracy, f1") if self.span_types else ("accuracy", "f1")
        arguments = ARGUMENTS.format(spans="conll" if self.span_types else "none")
        return FoundTask(self.name, "tokens", self.why, TOKENS, arguments, primary, others)

    def reading(self, name: str) -> dict[str, bool | str | list[str]]:
        """Return how a target of that name is read from the column, by key."""
        found: dict[str, bool | str | list[str]] = {} if name == self.name else {"column": self.name}
        return found | ({"unseen": "missing"} if self.rarest < RARE else {})


@dataclass(frozen=True)
class ConllSurvey(FileSurvey):
    """How the file is written, lengths of its sentences, its columns, and those that are targets by their name."""

    dataset: ClassVar[str] = "conll"

    file: ConllFile
    lengths: np.ndarray
    columns: tuple[WordColumn, ...]
    targets: dict[str, WordColumn]
    advice: Advice
    scripts: dict[str, float]
    group: str | None

    @property
    def encoding(self) -> str:
        """The encoding of the file."""
        return self.file.options.encoding

    @property
    def size(self) -> str:
        """Sentences and words."""
        return f"{len(self.lengths)} sentences, {self.lengths.sum()} words, {len(self.file.columns)} columns"

    @property
    def how(self) -> str:
        """Format and encoding."""
        return f"{self.file.format}, {self.file.options.encoding}"

    @property
    def tasks(self) -> list[FoundTask]:
        """A task for each target."""
        return [replace(c.task, name=name, reading=c.reading(name)) for name, c in self.targets.items()]

    def option_lines(self) -> list[str]:
        """Return how the file is read, what fits its sentences, and its groups."""
        told = self.file.options
        lines = [entry("format", told.format)] if told.format != "auto" else []
        lines += [entry("encoding", told.encoding)] if told.encoding != "utf-8" else []
        lines += [entry("columns", list(told.columns), "in the file's order")] if told.columns else []
        lines += [entry("word", told.word)] if told.word else []
        lines += self.advice.option_lines()
        return lines + group_lines(self.group)

    def report(self) -> list[Section]:
        """Return targets, sentences, columns and what was chosen."""
        targets = []
        for name, column in self.targets.items():
            task = column.task
            targets.append(f"{name}: tokens, because {task.why}. Metric: {task.primary} (also {task.others})")
            lost = f"; {column.missing} words without a label" if column.missing else ""
            targets.append(f"  {column.name}: {class_statistics(column.counts, sum(column.counts.values()))}{lost}")
        middle, most = np.quantile(self.lengths, [0.5, 0.95])
        scripts = ", ".join(f"{script} {share:.0%}" for script, share in self.scripts.items() if share >= 0.005)
        lengths = f"words of a sentence: {middle:.0f} in the middle, 95 %: {most:.0f}, longest {self.lengths.max()}"
        return [
            Section("Targets", targets),
            Section("Sentences", [lengths, f"scripts: {scripts or 'no letters'}"]),
            Section("Columns", [], column_rows(self.file, self.columns)),
            Section("Chosen for them", self.advice.told()),
        ]

    def training(self) -> Training:
        """Return backbone, batch size and epochs; several tasks may go to layers of their own."""
        hints = hints_on(len(self.lengths), "sentences")
        names = sorted(self.targets, key=lambda name: self.targets[name].depth)
        if len(names) > 1:
            attach = ", ".join([f"{names[0]}: 1", *(f"{name}: 2" for name in names[1:])])
            hints = [
                f"or sharing=hierarchical 'sharing.attach={{{attach}}}': simple tasks from the lower layer",
                *hints,
            ]
        return Training(self.advice.overrides, hints)


def column_rows(file: ConllFile, columns: Sequence[WordColumn]) -> list[list[str]]:
    """Return a table of what the columns hold."""
    rows = [["column", "labels", "missing", "spans", "such as"]]
    rows.append([file.columns[file.word], "", "", "", "the words"])
    for column in columns:
        spans = some(column.span_types, 4) or ("yes" if column.span_types else "")
        rows.append(
            [
                column.name,
                str(len(column.counts)),
                str(column.missing),
                spans,
                some([label[:16] for label in column.counts], 4),
            ]
        )
    return rows


def survey_conll(path: Path, options: ConllOptions, targets: dict[str, str], group: str | None) -> ConllSurvey:
    """Return a first look at a file of labelled words, given the column of each target, and the key of groups.

    Raises:
        UserError: the file cannot be read, a column is missing or has nothing to learn from.
    """
    options = with_names(path, options)
    file = ConllFile(path, options)
    others = [name for index, name in enumerate(file.columns) if index != file.word]
    sentences = Sentences(file, others)
    columns = {name: word_column(sentences, name) for name in others}
    check_targets(file, columns, targets, sentences, group)
    found = {name: columns[file.columns[file.index(column)]] for name, column in targets.items()}
    some_words = sentences.words[:SAMPLE_SENTENCES]
    shares = script_shares(word for words in some_words for word in words)
    advice = advise_words(some_words, shares, len(sentences))
    return ConllSurvey(file, np.diff(sentences.offsets), tuple(columns.values()), found, advice, shares, group)


def word_column(sentences: Sentences, name: str) -> WordColumn:
    """Return what a column beside the words holds."""
    values, codes = sentences.values[name], sentences.codes[name]
    of = np.repeat(np.arange(len(sentences)), np.diff(sentences.offsets))
    pairs = np.unique(of * len(values) + codes)
    in_sentences = np.bincount(pairs % len(values), minlength=len(values))
    frequency = np.bincount(codes, minlength=len(values)).tolist()
    counts = dict(Counter(dict(zip(values, frequency, strict=True))).most_common())
    missing = counts.pop(MISSING, 0)
    rarest = min((int(n) for value, n in zip(values, in_sentences, strict=True) if value != MISSING), default=0)
    return WordColumn(name, counts, missing, rarest)


def check_targets(
    file: ConllFile, columns: dict[str, WordColumn], targets: dict[str, str], sentences: Sentences, group: str | None
) -> None:
    """Compare the targets with the columns.

    Raises:
        UserError: every one that is not a column, or has nothing to learn from.
    """
    by_name = {name.lower(): column for name, column in columns.items()}
    problems = []
    for wanted in targets.values():
        column = by_name.get(wanted.lower())
        if column is None:
            held = "; ".join(f"{name} ({len(each.counts)} labels: {some(list(each.counts), 3)})" for name, each in
                             columns.items())  # fmt: skip
            problems.append(
                f"{file.path} has no column '{wanted}' of labels.{nearest(wanted.lower(), by_name)} It has {held}. The "
                "columns of CoNLL are named in order by columns=[word,pos,ner]."
            )
        elif len(column.counts) < 2:
            what = f"the label '{next(iter(column.counts))}' in every word" if column.counts else "no label in any word"
            problems.append(f"{file.path}, column '{column.name}' has {what}. Leave it out of target=.")
        elif len(column.counts) > MAX_LABELS and len(column.counts) > 0.1 * sum(column.counts.values()):
            problems.append(
                f"{file.path}, column '{column.name}' has {len(column.counts)} labels in {sentences.offsets[-1]} "
                "words: that is no set of classes. Leave it out of target=."
            )
    if len(sentences) < 2:
        problems.append(f"{file.path} has {len(sentences)} sentence; training needs 2 or more.")
    if group and not any(group in comments for comments in sentences.comments):
        keys = dict.fromkeys(key for comments in sentences.comments for key in comments)
        problems.append(
            f"group is '{group}', a key of no comment (# key = value). There are: {some(list(keys)) or 'none'}."
        )
    if problems:
        raise UserError(problems)
