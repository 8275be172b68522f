"""The targets that a config declares, checked."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtl_cli.batch import WantedField
from mtl_cli.config.annotations import one_of
from mtl_cli.errors import UserError, nearest
from mtl_cli.tables.place import canonical

COLUMNS = {
    "class": 1, "binary": 1, "ordinal": 1, "count": 1, "real": None, "multilabel": None, "survival": 2, "ranking": 2,
}  # fmt: skip
"""Columns that a kind of target is read from; None stands for one or more."""
ROLES = {"survival": "[time, event]", "ranking": "[relevance, group]"}
NAMED = ("class", "binary", "ordinal")
KEYS = ("kind", "column", "columns", "classes", "missing", "ignore_case", "separator", "weight_column")


@dataclass(frozen=True)
class DeclaredField:
    """A label field, and where the config says how it is read."""

    name: str
    task: str = field(default="", compare=False, kw_only=True)
    """The task whose node says how the field is read; empty where the dataset's `targets` do."""

    @property
    def where(self) -> str:
        """The key of the config that declares it, for messages."""
        return f"tasks.{self.task}" if self.task else f"targets.{self.name}"

    @property
    def override(self) -> str:
        """The start of an override of that key, whether a task's node has it already or not."""
        return f"++{self.where}" if self.task else self.where


@dataclass(frozen=True)
class Target(DeclaredField):
    """A label field as the config declares it; `missing` are values, besides empty cells, that stand for no label."""

    kind: str
    columns: tuple[str, ...]
    classes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignore_case: bool = False
    """Whether labels that differ in capitals only are one class; it is written in small letters."""
    separator: str = ""
    """What stands between the labels in a cell of a multilabel target's one column; empty where columns are labels."""
    weight_column: str = ""
    """Column of the weights of rows in the loss; empty where all rows have the same."""

    @property
    def beside(self) -> tuple[str, ...]:
        """Columns of numbers that are read beside those of the labels."""
        return (self.weight_column,) if self.weight_column else ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns that are read as text."""
        if self.kind in NAMED or self.kind == "multilabel":
            return self.columns
        return self.columns[1:] if self.kind in ("survival", "ranking") else ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that are read as numbers."""
        return tuple(column for column in self.columns if column not in self.texts)

    def missing_in(self, column: str) -> tuple[str, ...]:
        """Return the values of a column that stand for no label; of a time and an event, they are values of the time.

        An event of 0 says that a row was cut off, and no value of a time can say otherwise.
        """
        return self.missing if self.kind not in ROLES or column == self.columns[0] else ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns that give the answer away: all but the group of a ranking."""
        return self.columns[:1] if self.kind == "ranking" else self.columns


def undeclared(wanted: Sequence[WantedField], declared: Collection[str]) -> dict[str, WantedField]:
    """Return the fields that tasks want by name, without those that a dataset's own `targets` declare.

    Raises:
        UserError: two declarations of a field differ, or nothing says how a field is read.
    """
    problems: list[str] = []
    found: dict[str, WantedField] = {}
    for each in wanted:
        other = found.setdefault(each.name, each)
        if each.name in declared:
            problems += [
                f"tasks.{each.task}.{key} says how '{each.name}' is read, and so do the targets of its dataset. Leave "
                "one of them out."
                for key in each.reading
            ]
        elif each.kind is None:
            problems.append(
                f"tasks.{each.task} does not say how '{each.name}' is read, for its class has no field_kind. Set "
                f"that, or declare it in the dataset: targets={{{each.name}: {{kind: class, column: {each.name}}}}}."
            )
        elif each.node != other.node:
            problems.append(
                f"tasks.{other.task} and tasks.{each.task} read '{each.name}' in two ways: {other.node} and "
                f"{each.node}. Give one of them a target of its own, such as +tasks.{each.task}.column={each.name} "
                f"tasks.{each.task}.target={each.task}_{each.name}."
            )
    if problems:
        raise UserError(problems)
    return {name: each for name, each in found.items() if name not in declared}


def parse_wanted(wanted: Mapping[str, WantedField]) -> dict[str, Target]:
    """Return the targets that tasks say how to read.

    Raises:
        UserError: targets are wrong; everything wrong with them is named.
    """
    return parse_targets({n: each.node for n, each in wanted.items()}, {n: each.task for n, each in wanted.items()})


def parse_targets(targets: Mapping[str, Any], tasks: Mapping[str, str] | None = None) -> dict[str, Target]:
    """Return the targets that a config declares; `tasks` names, by target, the task whose node declares it.

    Raises:
        UserError: targets are wrong; everything wrong with them is named.
    """
    problems: list[str] = []
    found = {}
    for name, node in targets.items():
        try:
            found[str(name)] = parse_target(str(name), node, (tasks or {}).get(str(name), ""))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return found


def parse_target(name: str, node: Any, task: str = "") -> Target:  # noqa: ANN401  any YAML value
    """Return one target, which the node of `task` declares or, where that is empty, its dataset.

    Raises:
        UserError: the target is wrong; it says how.
    """
    where = DeclaredField(name, task=task).where
    if not isinstance(node, Mapping):
        raise UserError(f"{where} is {node!r}. Use for example {where}={{kind: class, column: {name}}}.")
    if unknown := [key for key in node if key not in KEYS]:
        raise UserError(f"{where}.{unknown[0]} is unknown.{nearest(str(unknown[0]), KEYS)} Known: {', '.join(KEYS)}.")
    kind = node.get("kind")
    if kind not in COLUMNS:
        raise UserError(one_of(f"{where}.kind", kind, list(COLUMNS)))
    columns = _columns(node, kind, name, where)
    separator = _separator(node.get("separator"), kind, columns, where)
    ignore_case = node.get("ignore_case", False)
    if not isinstance(ignore_case, bool) or (ignore_case and kind not in NAMED and not separator):
        raise UserError(
            f"{where}.ignore_case is {ignore_case!r}; it is true or false, and true for {NAMED} and labels with a "
            "separator only."
        )
    classes, missing = (_words(node.get(key), f"{where}.{key}", ignore_case) for key in ("classes", "missing"))
    if classes and ((kind not in NAMED and not separator) or len(set(classes)) < max(2, len(classes))):
        raise UserError(
            f"{where}.classes is {list(classes)}; it names two classes or more, each once, of a {NAMED} target or of "
            "one with a separator."
        )
    if kind == "binary" and classes and len(classes) != 2:
        raise UserError(f"{where}.classes is {list(classes)}; a binary target has two, the positive one last.")
    weight = node.get("weight_column") or ""
    if not isinstance(weight, str) or weight in columns:
        raise UserError(f"{where}.weight_column is {weight!r}; it names a column of numbers that is not a label.")
    return Target(name, kind, columns, classes, missing, ignore_case, separator, weight, task=task)


def _separator(value: Any, kind: str, columns: Sequence[str], where: str) -> str:  # noqa: ANN401  any YAML value
    """Return what stands between labels in one cell; empty where nothing does."""
    if value is None:
        return ""
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}.separator is {value!r}; it is what stands between labels in a cell, such as ';'.")
    if kind != "multilabel" or len(columns) > 1:
        raise UserError(
            f"{where}.separator is '{value}'; it is for a multilabel target of one column, and this is a {kind} target "
            f"of {', '.join(columns)}. Leave it out."
        )
    return value


def _columns(node: Mapping[str, Any], kind: str, name: str, where: str) -> tuple[str, ...]:
    """Return the columns that a target of a kind is read from."""
    if ("column" in node) == ("columns" in node):
        raise UserError(f"{where} names its columns by column=NAME or by columns=[A,B], one of the two.")
    columns = [node["column"]] if "column" in node else node["columns"]
    if not isinstance(columns, list) or not columns or not all(isinstance(column, str) for column in columns):
        raise UserError(f"{where}.columns is {columns!r}; it is a list of names of columns, such as [{name}].")
    if (count := COLUMNS[kind]) is not None and len(columns) != count:
        roles = ROLES.get(kind, "one column")
        raise UserError(f"{where}.columns is {columns}; a {kind} target is read from {roles}.")
    if len(set(columns)) < len(columns):
        raise UserError(f"{where}.columns is {columns}, which names a column twice.")
    return tuple(columns)


def _words(value: Any, where: str, ignore_case: bool) -> tuple[str, ...]:  # noqa: ANN401  any YAML value
    """Return one value, or a list of values, in the form in which labels are compared."""
    values = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise UserError(f"{where} is {value!r}; it is a value or a list of values.")
    words = [canonical(str(each)) for each in values]
    return tuple(dict.fromkeys(map(str.lower, words)) if ignore_case else words)
