"""What mtl-init finds in a file of any kind, and the YAML that it writes of it: a dataset and a task a target."""

import itertools
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from mtl_cli.config.interpolation import escaped
from mtl_cli.errors import printable

WORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|nan|inf")
"""Words that are not names in YAML or on Hydra's command line."""
_PLAIN = re.compile(rf"(?!(?:{WORDS.pattern[4:]}|y|n)\Z)[A-Za-z_][\w./-]*( [\w./-]+)*", re.ASCII | re.IGNORECASE)
"""Texts that stand without quotes."""
GROUPED = 8
"""Tasks of one kind from which on they are written as one node."""


@dataclass(frozen=True)
class FoundTask:
    """A task to write: its class, the lines of its further arguments, its metrics, and why it is of this kind."""

    name: str
    kind: str
    why: str
    target: str
    arguments: str
    primary: str
    others: str = ""
    reading: Mapping[str, bool | str | list[str]] = field(default_factory=dict)
    """How its labels are read, by key: column or columns, classes, missing."""
    label: str = ""
    """The label field, where it is not called as the task is."""

    @property
    def also(self) -> str:
        """The metrics beside the one that selects, in words."""
        return f"; also {self.others}" if self.others else ""


@dataclass(frozen=True)
class Section:
    """A part of the printed report: a title, lines, and rows of cells to align, the first row being their head."""

    title: str
    lines: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Training:
    """The overrides that train on a file, beside its tasks, and hints on other ones."""

    overrides: Sequence[str]
    hints: Sequence[str] = ()


class FileSurvey(ABC):
    """What was found in a file; each kind of file knows its own lines."""

    dataset: ClassVar[str]
    """The option of the group `dataset` that reads such files."""
    folder: str | None = None
    """The folder of the files that a table names, where that is not its own."""

    @property
    def encoding(self) -> str | None:
        """The encoding of a file of text."""
        return None

    @property
    @abstractmethod
    def size(self) -> str:
        """How much the file holds, in words."""

    @property
    @abstractmethod
    def how(self) -> str:
        """How the file is written, in words."""

    @property
    @abstractmethod
    def tasks(self) -> Sequence[FoundTask]:
        """A task for each target."""

    @property
    def auxiliary(self) -> Sequence[FoundTask]:
        """Further tasks that need no labels: they are written, and not trained unless they are asked for."""
        return ()

    @abstractmethod
    def option_lines(self) -> list[str]:
        """Return the lines of YAML of the dataset after its path; targets are declared by the tasks."""

    @abstractmethod
    def report(self) -> list[Section]:
        """Return what is printed: targets, inputs and their statistics."""

    @abstractmethod
    def training(self) -> Training:
        """Return the overrides that go with the tasks on the command line."""


def dataset_yaml(survey: FileSurvey, path: str) -> str:
    """Return the dataset's file."""
    lines = [
        comment(f"Written by mtl-init from {path}: {survey.size}. Edit it freely."),
        f"# Every option with its default: mtl-train --cfg job, or conf/dataset/{survey.dataset}.yaml of the package.",
        f"defaults: [{survey.dataset}, _self_]",
        entry("path", path, "below data.root where that is set, else below the working directory"),
        *([entry("folder", survey.folder, "paths in the table are relative to it")] if survey.folder else []),
        *survey.option_lines(),
    ]
    return "\n".join(lines) + "\n"


def task_files(tasks: Sequence[FoundTask], dataset: str) -> dict[str, str]:
    """Return the files of tasks by name: one for each, and one for all of those that are of a kind with many tasks."""
    files: dict[str, str] = {}
    for alike in tasks_alike(tasks):
        if len(alike) < GROUPED:
            files |= {task.name: task_yaml(task, dataset) for task in alike}
        else:
            taken = {task.name for task in tasks}
            name = next(name for name in group_names(f"{dataset}_{alike[0].kind}") if name not in taken)
            files[name] = group_yaml(name, alike, dataset)
    return files


def tasks_alike(tasks: Sequence[FoundTask]) -> Iterator[list[FoundTask]]:
    """Yield the tasks by kind, in the order of their first ones; those of a kind share all arguments."""
    kinds: dict[tuple[str, str], list[FoundTask]] = {}
    for task in tasks:
        kinds.setdefault((task.kind, task.arguments), []).append(task)
    yield from kinds.values()


def group_names(name: str) -> Iterator[str]:
    """Yield names for a group of tasks until one is free."""
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(2))


def task_yaml(task: FoundTask, dataset: str) -> str:
    """Return the file of a task."""
    return (
        f"{_head(task, dataset, task.name, f'{task.kind}: {task.why}')}    target: {task.label or task.name}\n"
        f"{_reading(task.reading)}"
        "    weight: 1.0  # factor of this task's loss; 0 = not trained, still evaluated\n"
        f"{task.arguments}"
    )


def group_yaml(name: str, tasks: Sequence[FoundTask], dataset: str) -> str:
    """Return the file of one node that stands for several tasks of one kind."""
    first = tasks[0]
    shared = {
        key: value
        for key, value in first.reading.items()
        if not key.startswith("column") and all(task.reading.get(key) == value for task in tasks)
    }
    lines = ["    targets:  # each task with its own values, merged into those below\n"]
    for task in tasks:
        own = {key: value for key, value in task.reading.items() if key not in shared}
        lines.append(f"      {entry(task.name, own)}\n")
    return (
        f"{_head(first, dataset, name, f'{len(tasks)} tasks of kind {first.kind} in one node')}{''.join(lines)}"
        f"{_reading(shared)}"
        "    weight: 1.0  # factor of each task's loss; 0 = not trained, still evaluated\n"
        f"{first.arguments}"
    )


def _reading(values: Mapping[str, bool | str | list[str]]) -> str:
    """Return the lines of YAML that say how labels are read."""
    notes = {"unseen": "words whose label training lacks count as unlabelled"}
    return "".join(f"    {entry(key, value, notes.get(key, ''))}\n" for key, value in values.items())


def _head(task: FoundTask, dataset: str, name: str, what: str) -> str:
    """Return what the file of a task or group begins with."""
    written = comment(f"Written by mtl-init. {what}. Selected by {task.primary}{task.also}.")
    return (
        f"# @package _global_\n{written}\n"
        f"defaults:\n  - /dataset@tasks.{name}.dataset: {dataset}\n"
        f"tasks:\n  {name}:\n    _target_: {task.target}\n"
    )


def group_lines(group: str | None) -> list[str]:
    """Return the YAML of the column of groups, where there is one."""
    return [entry("group_column", group, "no group is in two splits")] if group else []


def told_division(split: str | None, group: str | None, what: str = "rows") -> list[str]:
    """Return how rows are divided, as lines of the report: by a column of splits, and of groups."""
    divided = [f"{what} are divided by the column {split}"] if split else []
    return [*divided, *([f"all {what} of one {group} are in one split"] if group else [])]


def bad_lines(bad: Sequence[str]) -> list[str]:
    """Return the YAML that leaves out rows whose files cannot be used, where there are some."""
    return [entry("skip_bad", True, f"{bad[0]} Without it training refuses the set")] if bad else []


def bad_sections(bad: Sequence[str]) -> list[Section]:
    """Return what cannot be used, as a part of the report, where there is something."""
    return [Section("Look at these first: training leaves them out (skip_bad: true)", bad)] if bad else []


def some(names: Sequence[str], most: int = 12) -> str:
    """Return names, not too many of them."""
    return ", ".join(names[:most]) + (f", … ({len(names)})" if len(names) > most else "")


def entry(key: str, value: Any, why: str = "") -> str:  # noqa: ANN401  any plain value
    """Return a line of YAML: a key of this program or a task's name, its value, and why in a comment."""
    return f"{key}: {flow(value)}" + (f"  {comment(why)}" if why else "")


def comment(text: str) -> str:
    """Return a comment; a text that stands in it, whatever it holds, cannot end its line."""
    return f"# {one_line(text)}"


def flow(value: Any) -> str:  # noqa: ANN401  any plain value
    """Return a value as YAML in one line, which Hydra reads back as that value: no ${ in it is an interpolation."""
    emitted = yaml.dump([value], Dumper=_Emitter, default_flow_style=True, width=sys.maxsize, allow_unicode=True)
    return one_line(emitted.strip()[1:-1])


class _Emitter(yaml.SafeDumper):
    """Writes texts that any reader could take for something else in double quotes, whole values in one line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401  any plain value
        """Write a value that comes twice twice."""
        return True


def _emit_text(emitter: _Emitter, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(text) else '"'
    return emitter.represent_scalar("tag:yaml.org,2002:str", escaped(text), style=style)


_Emitter.add_representer(str, _emit_text)


def one_line(text: str) -> str:
    """Return a text of a file with everything escaped that does not print, as YAML's double quotes escape it.

    Names and values of a file stand in comments too, where a line break of any kind would begin a line of YAML, and
    on the terminal.
    """
    return printable(text, spaces="")
