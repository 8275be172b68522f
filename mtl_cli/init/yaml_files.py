"""What mtl-init finds in a file of any kind, and the YAML that it writes of it: a dataset and a task a target."""

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

RESERVED = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n|~|\.nan|\.inf|nan|inf")
STEPS, MAX_EPOCHS, DEFAULT_EPOCHS = 2000, 200, 6
TRAIN_SHARE = 0.7


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

    @abstractmethod
    def option_lines(self) -> list[str]:
        """Return the lines of YAML of the dataset after its path, with its targets."""

    @abstractmethod
    def report(self) -> list[Section]:
        """Return what is printed: targets, inputs and their statistics."""

    @abstractmethod
    def training(self) -> Training:
        """Return the overrides that go with the tasks on the command line."""


def dataset_yaml(survey: FileSurvey, path: str) -> str:
    """Return the dataset's file."""
    lines = [
        f"# Written by mtl-init from {path}: {survey.size}. Edit it freely.",
        f"# Every option with its default: mtl-train --cfg job, or conf/dataset/{survey.dataset}.yaml of the package.",
        f"defaults: [{survey.dataset}, _self_]",
        f"path: {quoted(path)}  # below data.root where that is set, else below the working directory",
        *survey.option_lines(),
    ]
    return "\n".join(lines) + "\n"


def task_yaml(task: FoundTask, dataset: str) -> str:
    """Return the file of a task."""
    return (
        "# @package _global_\n"
        f"# Written by mtl-init. {task.kind}: {task.why}. Selected by {task.primary}{task.also}.\n"
        f"defaults:\n  - /dataset@tasks.{task.name}.dataset: {dataset}\n"
        f"tasks:\n  {task.name}:\n    _target_: {task.target}\n    target: {task.name}\n"
        "    weight: 1.0  # factor of this task's loss; 0 = not trained, still evaluated\n"
        f"{task.arguments}"
    )


def epochs(rows: int, batch_size: int) -> list[str]:
    """Return the override of the number of epochs: small files get more, so that there are some 2000 steps."""
    steps = max(1, math.ceil(TRAIN_SHARE * rows / batch_size))
    wanted = min(MAX_EPOCHS, math.ceil(STEPS / steps))
    return [f"trainer.max_epochs={wanted}"] if wanted > DEFAULT_EPOCHS else []


def group_lines(group: str | None) -> list[str]:
    """Return the YAML of the column of groups, where there is one."""
    return [f"group_column: {quoted(group)}  # no group is in two splits"] if group else []


def some(names: Sequence[str], most: int = 12) -> str:
    """Return names, not too many of them."""
    return ", ".join(names[:most]) + (f", … ({len(names)})" if len(names) > most else "")


def listed(values: Sequence[str]) -> str:
    """Return a YAML list in one line."""
    return f"[{', '.join(map(quoted, values))}]"


def quoted(text: str) -> str:
    """Return a text as YAML reads it back as that text."""
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*( [\w./-]+)*", text, re.ASCII) and not RESERVED.fullmatch(text)
    return text if plain else json.dumps(text, ensure_ascii=False)
