"""Messages on labels that cannot be used, each with the override that helps."""

import re
import shlex
from collections.abc import Sequence

import numpy as np

from mtl_cli.errors import UserError, nearest
from mtl_cli.tables.declared_targets import ROLES, Target
from mtl_cli.tables.fitted_target import Columns, FittedTarget
from mtl_cli.tables.place import Place
from mtl_cli.tables.strange_cells import warn_of_far_labels

SEPARATORS = (";", "|", ",", "/")
"""What people write between several labels in one cell."""


def nothing(target: Target, place: Place, why: str) -> str:
    """Return the message for a target that nothing can be learnt from."""
    return (
        f"{place.path}, column '{place.column}': {why}, so there is nothing to learn for {target.where}. "
        f"Leave it out: ~{target.where if target.task else f'tasks.NAME.dataset.{target.where}'}."
    )


def as_classes(target: Target) -> str:
    """Return how to read a target as one of classes."""
    if not target.task:
        return f"Use {target.where}.kind=class."
    return f"Use {target.where}._target_=mtl_cli.tasks.classification.Classification."


def absent(target: Target, value: str) -> str:
    """Return how to say that a value stands for no label."""
    return f"If it stands for a missing label, say so: {setting(target, 'missing', [*target.missing, value])}."


def absent_truth(target: Target, column: str, value: str) -> str:
    """Return how to say that a value of a column of yes and no stands for no label; `missing` may not be for it."""
    if column in target.columns[1:] and target.kind in ROLES:
        return f"If it stands for a missing event, add it to the missing_values of the dataset: '{value}'."
    return absent(target, value)


def separated(target: Target, value: str) -> str:
    """Return how to say that a cell names several labels, where a target of one column may have such cells."""
    if target.kind != "multilabel" or len(target.columns) > 1:
        return ""
    sign = next((each for each in SEPARATORS if each in value), ";")
    return f"If cells name several labels, say what is between them: {said(target, 'separator', quoted(sign))}. "


def setting(target: Target, key: str, values: Sequence[str]) -> str:
    """Return the override that sets a list of words, quoted for Hydra and for the shell."""
    words = (each if re.fullmatch(r"[A-Za-z_]\w*|-?\d+", each, re.ASCII) else quoted(each) for each in values)
    return said(target, key, f"[{','.join(words)}]")


def said(target: Target, key: str, value: str) -> str:
    """Return the override that sets a value of Hydra's grammar, quoted for the shell."""
    return shlex.quote(f"{target.override}.{key}={value}")


def quoted(text: str) -> str:
    """Return a text in Hydra's double quotes."""
    return '"' + re.sub(r'(\\*)"', r'\1\1\\"', text) + '"'


def outside(target: Target, classes: Sequence[str], place: Place, row: int, value: str) -> UserError:
    """Return the error for a label that is not one of the classes."""
    known = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
    hint = nearest(value, classes).strip()
    meant = f"; d{hint[1:]}" if hint else ""
    whose = "the declared classes" if target.classes else "the classes of the training rows"
    return place.error(
        row,
        f"the label '{value}' is not one of {whose} ({known}{meant})",
        f"Declare them all: {setting(target, 'classes', [*classes, value])}. {absent(target, value)}",
    )


def check_scale(fitted: FittedTarget, table: Columns, labels: np.ndarray) -> None:
    """Compare labels float64 [N, columns] with those of training: warn of numbers that may be in another unit.

    Raises:
        UserError: a relevance is a grade, where those of training are from 0 to 1.
    """
    target = fitted.target
    if target.kind == "ranking" and fitted.top <= 1 and (bad := np.flatnonzero(labels[:, 0] > 1)).size:
        found = f"the relevance is {labels[bad[0], 0]:g}, and those of training are from 0 to 1"
        raise table.place(target.columns[0]).error(int(bad[0]), found, "Write all in one way.")
    for name, values, mean, std in zip(target.columns, labels.T, fitted.mean, fitted.std, strict=False):
        warn_of_far_labels(table.place(name).path, name, values, mean, std)
