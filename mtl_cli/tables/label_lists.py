"""Several labels in one cell, such as `red;blue`: what a multilabel target with a separator is read from."""

from collections.abc import Sequence

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.tables.declared_targets import Target
from mtl_cli.tables.fitted_target import Columns, FittedTarget, class_codes, in_order
from mtl_cli.tables.label_faults import nothing, outside
from mtl_cli.tables.place import canonical


def labels_in(cell: str, separator: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once; one that holds the separator alone has none."""
    return tuple(dict.fromkeys(label for part in cell.split(separator) if (label := canonical(part))))


def label_lists(target: Target, table: Columns) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Return cells of a target as codes int64 [N], -1 where missing, and the labels in the cells that they number."""
    codes, values = class_codes(target, table)
    absent = np.array([*(value in target.missing for value in values), True])
    return np.where(absent[codes], -1, codes), [labels_in(value, target.separator) for value in values]


def marks_of(lists: Sequence[tuple[str, ...]], classes: Sequence[str]) -> np.ndarray:
    """Return which of the classes are in each list of labels, float32 [lists + 1, C]; the last row is unknown."""
    marks = np.zeros((len(lists) + 1, len(classes)), dtype=np.float32)
    marks[-1] = np.nan
    number = {name: index for index, name in enumerate(classes)}
    for row, labels in enumerate(lists):
        marks[row, [number[label] for label in labels if label in number]] = 1.0
    return marks


def fit_lists(target: Target, table: Columns, rows: np.ndarray) -> FittedTarget:
    """Return a target fitted on the training `rows` of a table: its classes are the labels of these rows.

    Raises:
        UserError: no training row has a label, or all have the same ones.
    """
    codes, lists = label_lists(target, table)
    seen = np.bincount(codes[rows][codes[rows] >= 0], minlength=len(lists))
    place = table.place(target.columns[0])
    known = {frozenset(labels) for labels, count in zip(lists, seen, strict=True) if count}
    if not any(known):
        raise UserError(nothing(target, place, "no training row has a label"))
    if len(known) == 1:
        same = f" {target.separator} ".join(sorted(known.pop()))
        raise UserError(nothing(target, place, f"the labels of every training row are '{same}'"))
    classes = target.classes or in_order(list(frozenset.union(*known)))
    counts = seen @ marks_of(lists, classes)[:-1].astype(np.int64)
    return FittedTarget(target, classes=classes, counts=tuple(counts.tolist()))


def encode_lists(fitted: FittedTarget, table: Columns) -> np.ndarray:
    """Return which labels every row of a table has, float32 [N, C]: 1, 0, or NaN where the cell is missing.

    Raises:
        UserError: a label is not one of the classes; file, row and column are named.
    """
    target = fitted.target
    codes, lists = label_lists(target, table)
    known = frozenset(fitted.classes)
    strange = np.array([*(not known.issuperset(labels) for labels in lists), False])
    if (bad := np.flatnonzero(strange[codes])).size:
        label = next(label for label in lists[codes[bad[0]]] if label not in known)
        raise outside(target, fitted.classes, table.place(target.columns[0]), int(bad[0]), label)
    return marks_of(lists, fitted.classes)[codes]
