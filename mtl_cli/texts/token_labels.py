"""Labels of words: the targets of a config, fitted on training sentences, and their labels as numbers."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mtl_cli.batch import MISSING_CLASS, FieldSpec
from mtl_cli.config.annotations import typed
from mtl_cli.errors import UserError, nearest
from mtl_cli.tables.declared_targets import DeclaredField
from mtl_cli.texts.conll import Sentences

KEYS = ("kind", "column", "classes", "missing", "unseen")
UNSEEN = ("error", "missing")
logger = logging.getLogger("mtl_cli")


@dataclass(frozen=True)
class TokenTarget(DeclaredField):
    """A label field of words: the column it is read from; `missing` are values that stand for no label.

    A label that is not one of the classes, because training never saw it, is an error or, by `unseen`, a missing label.
    """

    column: str
    classes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    unseen: str = "error"

    @property
    def field_spec(self) -> FieldSpec:
        """What a task sees of the field."""
        return FieldSpec(
            "tokens", len(self.classes), class_names=self.classes, counts=self.counts, columns=(self.column,)
        )

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        state = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        del state["task"]
        return state

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "TokenTarget":
        """Return the target of a checkpoint.

        Raises:
            ValueError: the state is not that of a target.
        """
        found = typed(cls, state)
        if len(found.classes) < 2 or len(found.counts) != len(found.classes):
            raise ValueError(f"the target {found.name} has {len(found.classes)} classes")
        return found


def parse_token_targets(
    targets: Mapping[str, Any], missing: Sequence[str], tasks: Mapping[str, str] | None = None
) -> dict[str, TokenTarget]:
    """Return the targets that a config declares; `missing` are values that stand for no label in all of them.

    `tasks` names, by target, the task whose node declares it.

    Raises:
        UserError: targets are wrong; everything wrong with them is named.
    """
    problems: list[str] = []
    found = {}
    for name, node in targets.items():
        task = (tasks or {}).get(str(name), "")
        where = DeclaredField(str(name), task=task).where
        if not isinstance(node, Mapping) or not isinstance(node.get("column"), str):
            problems.append(f"{where} is {node!r}. Use for example {where}={{kind: tokens, column: {name}}}.")
            continue
        if unknown := [key for key in node if key not in KEYS]:
            problems.append(
                f"{where}.{unknown[0]} is unknown.{nearest(str(unknown[0]), KEYS)} Known: {', '.join(KEYS)}."
            )
        if node.get("kind", "tokens") != "tokens":
            problems.append(f"{where}.kind is {node['kind']!r}; labels of words are of kind tokens.")
        if (unseen := node.get("unseen", "error")) not in UNSEEN:
            problems.append(f"{where}.unseen is {unseen!r}; it is error or missing. Use {where}.unseen=missing.")
        lists = {key: listed(node.get(key)) for key in ("classes", "missing")}
        found[str(name)] = TokenTarget(
            str(name), node["column"], lists["classes"], (*missing, *lists["missing"]), (), unseen, task=task
        )
    if problems:
        raise UserError(problems)
    return found


def listed(value: Any) -> tuple[str, ...]:  # noqa: ANN401  any YAML value
    """Return one value or a list of them as text."""
    values = [] if value is None else value if isinstance(value, list | tuple) else [value]
    return tuple(str(each) for each in values)


def fit_tokens(target: TokenTarget, sentences: Sentences, rows: np.ndarray) -> TokenTarget:
    """Return a target with the classes and counts of the training sentences `rows`.

    Raises:
        UserError: no training word has a label, or all have the same one.
    """
    train = np.zeros(len(sentences), dtype=bool)
    train[rows] = True
    codes = sentences.codes[target.column][np.repeat(train, np.diff(sentences.offsets))]
    values = sentences.values[target.column]
    seen = np.bincount(codes, minlength=len(values))
    counts = {
        value: int(count) for value, count in zip(values, seen, strict=True) if count and value not in target.missing
    }
    if len(counts) < 2:
        why = (
            "no training word has a label" if not counts else f"every label of training words is '{next(iter(counts))}'"
        )
        raise UserError(
            f"{sentences.path}, column '{target.column}': {why}, so there is nothing to learn for "
            f"{target.where}. Leave it out: ~{target.where if target.task else f'tasks.NAME.dataset.{target.where}'}."
        )
    classes = target.classes or tuple(sorted(counts))
    number = tuple(counts.get(name, 0) for name in classes)
    return replace(target, classes=classes, counts=number)


def encode_tokens(target: TokenTarget, sentences: Sentences) -> np.ndarray:
    """Return the class of every word, int32 [words], −100 where it has no label.

    Raises:
        UserError: a label is outside the classes; file and line are named.
    """
    values = sentences.values[target.column]
    number = {value: index for index, value in enumerate(target.classes)} | dict.fromkeys(target.missing, MISSING_CLASS)
    lookup = np.array([number.get(value, -1) for value in values], dtype=np.int32)
    codes = sentences.codes[target.column]
    labels = lookup[codes]
    bad = np.flatnonzero(labels == -1)
    if bad.size and target.unseen == "missing":
        logger.warning(
            "%s, column '%s': %d words have labels that training never saw (%s); they count as missing.",
            sentences.path, target.column, bad.size, ", ".join(sorted({values[code] for code in codes[bad].tolist()})),
        )  # fmt: skip
        labels[bad] = MISSING_CLASS
    elif bad.size:
        value, line = values[codes[bad[0]]], sentences.lines[bad[0]]
        known = ", ".join(target.classes[:8]) + (", …" if len(target.classes) > 8 else "")
        raise UserError(
            f"{sentences.path}, line {line}, column '{target.column}': the label '{value}' is not one of the classes "
            f"of the training sentences ({known}){nearest(value, target.classes)}. Declare them all by "
            f"{target.override}.classes=[…], or if it stands for a missing label, say so: "
            f"{target.override}.missing=[{value}]; "
            f"{target.override}.unseen=missing takes all such labels so."
        )
    return labels
