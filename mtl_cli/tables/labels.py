"""Label fields: targets are fitted on training rows, and then turned into tensors."""

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import MISSING_CLASS, labelled
from mtl_cli.errors import UserError
from mtl_cli.storage import on_disk
from mtl_cli.tables.declared_targets import NAMED as NAMED
from mtl_cli.tables.declared_targets import ROLES
from mtl_cli.tables.declared_targets import Target as Target
from mtl_cli.tables.declared_targets import parse_targets as parse_targets
from mtl_cli.tables.declared_targets import parse_wanted as parse_wanted
from mtl_cli.tables.declared_targets import undeclared as undeclared
from mtl_cli.tables.fitted_target import Columns as Columns
from mtl_cli.tables.fitted_target import FittedTarget as FittedTarget
from mtl_cli.tables.fitted_target import class_codes, is_number
from mtl_cli.tables.fitted_target import in_order as in_order
from mtl_cli.tables.label_faults import absent, absent_truth, as_classes, check_scale, nothing, outside, separated
from mtl_cli.tables.label_lists import encode_lists, fit_lists
from mtl_cli.tables.store import Table

logger = logging.getLogger("mtl_cli")
TRUTH = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0, "n": 0.0, "y": 1.0}
"""How truth values are written, in capitals or small letters."""
EXACT = 2**24
"""Largest whole number up to which float32 is exact."""


def fit_target(target: Target, table: Columns, rows: np.ndarray) -> FittedTarget:
    """Return a target fitted on the training `rows` of a table, with the mean of their weights where they have some.

    Raises:
        UserError: no training row has a label, all have the same one, or a label does not fit the kind.
    """
    fitted = _fit_labels(target, table, rows)
    if not target.weight_column:
        return fitted
    marks = labelled(encode_target(fitted, table)[torch.from_numpy(rows)]).reshape(len(rows), -1).any(dim=1).numpy()
    mean = float(raw_weights(target, table)[rows][marks].mean())
    if mean <= 0:
        place = table.place(target.weight_column)
        raise UserError(f"{place.path}, column '{place.column}': every weight of the training labels is 0.")
    return replace(fitted, weight=mean)


def raw_weights(target: Target, table: Columns) -> np.ndarray:
    """Return the weights of all rows of a table, float64 [N].

    Raises:
        UserError: a row has none, or a negative one.
    """
    values = table.number(target.weight_column)
    if (bad := np.flatnonzero(~(values >= 0))).size:
        found = "no weight" if np.isnan(values[bad[0]]) else f"the weight {values[bad[0]]:g}"
        fix = f"A weight is 0 or more. Or leave weights out: ~{target.where}.weight_column"
        raise table.place(target.weight_column).error(int(bad[0]), found, f"{fix}.")
    return values


def weight_fields(fitted: FittedTarget, table: Columns, has: Callable[[str], bool]) -> dict[str, Tensor]:
    """Return the field of the weights of all rows of a table, 1 on average over the training labels; none without.

    A file that lacks the column has the same weight in every row, with a warning.
    """
    target, name = fitted.target, fitted.field_spec.weights
    if not name:
        return {}
    if not has(target.weight_column):
        where = table.place(target.weight_column)
        logger.warning("%s has no column %s: every row of '%s' has weight 1.", where.path, where.column, target.name)
        return {name: torch.ones(len(table))}
    return {name: torch.from_numpy((raw_weights(target, table) / fitted.weight).astype(np.float32))}


def _fit_labels(target: Target, table: Columns, rows: np.ndarray) -> FittedTarget:
    if target.kind in NAMED:
        return _fit_classes(target, table, rows)
    if target.separator:
        return fit_lists(target, table, rows)
    values = raw_values(target, table)[rows]  # [N, columns]
    present = ~np.isnan(values)
    _check_varied(target, table, values, present)
    if target.kind == "multilabel":
        counts = tuple(int(count) for count in np.nansum(values, axis=0))
        return FittedTarget(target, classes=target.columns, counts=counts)
    if target.kind == "ranking":
        return FittedTarget(target, top=max(1.0, float(np.nanmax(values[:, 0]))))
    if target.kind not in ("real", "count"):
        return FittedTarget(target)
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    return FittedTarget(target, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def encode_target(fitted: FittedTarget, table: Columns) -> Tensor:
    """Return the field of every row of a table: its kind's dtype and shape, as `FieldSpec` says, in its own unit.

    Raises:
        UserError: a label is outside the classes, or does not fit the kind; file, row and column are named.
    """
    target = fitted.target
    if target.kind in NAMED:
        codes, values = class_codes(target, table)
        number = {value: index for index, value in enumerate(fitted.classes)}
        absent = dict.fromkeys(target.missing, MISSING_CLASS)
        lookup = np.array([*((number | absent).get(value, -1) for value in values), MISSING_CLASS], dtype=np.int64)
        labels = lookup[codes]
        if (bad := np.flatnonzero(labels == -1)).size:
            place = table.place(target.columns[0])
            raise outside(target, fitted.classes, place, int(bad[0]), values[codes[bad[0]]])
        return torch.from_numpy(labels)
    if target.separator:
        return torch.from_numpy(encode_lists(fitted, table))
    found = raw_values(target, table)
    check_scale(fitted, table, found)
    wide, dtype = fitted.field_spec.shape, np.float64 if loses_digits(fitted, found) else np.float32
    return torch.from_numpy(np.ascontiguousarray(found if wide else found[:, 0], dtype=dtype))


def encode_all(fitted: FittedTarget, table: Table) -> Tensor:
    """Return what `encode_target` does; where it can be told row by row, some rows at a time, and on the disk."""
    by_row = fitted.target.kind in (*NAMED, "real", "multilabel") and not fitted.target.separator
    parts: list[Tensor] = []
    for part in table.parts() if by_row else [table]:
        parts.append(encode_target(fitted, part))
        on_disk.pack(parts)
    return on_disk.joined(parts)


def loses_digits(fitted: FittedTarget, labels: np.ndarray) -> bool:
    """Return whether float32 would lose digits that matter of labels float64 [N, columns]: see `FieldSpec`."""
    first = labels[:, 0][~np.isnan(labels[:, 0])]
    if fitted.target.kind == "survival":  # what counts is the order of the times
        return len(np.unique(first)) > len(np.unique(first.astype(np.float32)))
    if fitted.target.kind == "count":
        return bool((first != first.astype(np.float32)).any())
    return fitted.field_spec.far


def missing_target(fitted: FittedTarget, rows: int) -> Tensor:
    """Return the field of `rows` rows without a label."""
    if fitted.target.kind in NAMED:
        return torch.full((rows,), MISSING_CLASS)
    return torch.full((rows, *fitted.field_spec.shape), float("nan"))


def raw_values(target: Target, table: Columns) -> np.ndarray:
    """Return the labels of a target without classes in their own unit, float64 [N, columns], NaN where missing.

    Raises:
        UserError: a label does not fit the kind.
    """
    columns = [_numbers(target, table, name) for name in target.numbers]
    if target.kind == "ranking":
        codes, values = table.text(target.texts[0])
        if len(values) > EXACT:
            raise UserError(f"{target.where} has {len(values)} groups; float32 can number {EXACT}.")
        columns.append(np.where(codes < 0, np.nan, codes))
    else:
        columns += [_truths(target, table, name) for name in target.texts]
    found = np.stack(columns, axis=1)
    if target.kind in ROLES:
        found[np.isnan(found).any(axis=1)] = np.nan
    rule = {"count": "a whole number ≥ 0", "survival": "a time ≥ 0", "ranking": "a relevance ≥ 0"}.get(target.kind)
    if rule:
        first = found[:, 0]
        wrong = (first < 0) | ((first % 1 != 0) & (target.kind == "count"))
        if (bad := np.flatnonzero(wrong & ~np.isnan(first))).size:
            place = table.place(target.columns[0])
            raise place.error(int(bad[0]), f"{first[bad[0]]:g} is not {rule}", absent(target, f"{first[bad[0]]:g}"))
    return found


def _numbers(target: Target, table: Columns, name: str) -> np.ndarray:
    values = np.array(table.number(name))
    for sentinel in target.missing:
        try:
            values[values == float(sentinel)] = np.nan
        except ValueError:
            continue
    return values


def _truths(target: Target, table: Columns, name: str) -> np.ndarray:
    codes, values = table.text(name)
    missing = target.missing_in(name)
    truth = {**dict.fromkeys(values, -1.0), **TRUTH, **dict.fromkeys(missing, np.nan)}
    lookup = np.array([*(truth[value if value in missing else _folded(value)] for value in values), np.nan])
    found = lookup[codes]
    if (bad := np.flatnonzero(found == -1.0)).size:
        value = values[codes[bad[0]]]
        fix = f"{separated(target, value)}{absent_truth(target, name, value)}"
        raise table.place(name).error(int(bad[0]), f"'{value}' is neither 0 nor 1", fix)
    return found


def _folded(value: str) -> str:
    return value.lower() if value.lower() in TRUTH else value


def _fit_classes(target: Target, table: Columns, rows: np.ndarray) -> FittedTarget:
    codes, values = class_codes(target, table)
    codes = codes[rows]
    seen = np.bincount(codes[codes >= 0], minlength=len(values))
    counts = {value: int(count) for value, count in zip(values, seen, strict=True) if count}
    counts = {value: count for value, count in counts.items() if value not in target.missing}
    place = table.place(target.columns[0])
    if not counts:
        raise UserError(nothing(target, place, "no training row has a label"))
    if len(counts) == 1:
        raise UserError(nothing(target, place, f"every label of the training rows is '{next(iter(counts))}'"))
    classes = target.classes
    if not classes:
        if target.kind == "binary" and len(counts) > 2:
            raise UserError(
                f"{place.path}, column '{place.column}': {target.where} is binary, but there are "
                f"{len(counts)} labels: {', '.join(sorted(counts)[:5])}. {as_classes(target)}"
            )
        if target.kind == "ordinal" and not all(is_number(value) for value in counts):
            raise UserError(
                f"{place.path}, column '{place.column}': the labels {', '.join(sorted(counts)[:5])} are not numbers, "
                f"so their order is not known. Give it: {target.override}.classes=[lowest,…,highest]."
            )
        classes = in_order(counts)
    return FittedTarget(target, classes=classes, counts=tuple(counts.get(name, 0) for name in classes))


def _check_varied(target: Target, table: Columns, values: np.ndarray, present: np.ndarray) -> None:
    """Refuse columns that are empty or constant on the training rows; of a ranking only the relevance is checked.

    Raises:
        UserError: there is such a column.
    """
    watched = target.columns if target.kind in ("real", "count", "multilabel") else target.columns[:1]
    for index, name in enumerate(watched):
        labels = values[present[:, index], index]
        if not labels.size:
            raise UserError(nothing(target, table.place(name), "no training row has a label"))
        if labels.min() == labels.max():
            raise UserError(nothing(target, table.place(name), f"every label of the training rows is {labels[0]:g}"))
    if target.kind == "survival" and not (values[present[:, 1], 1] == 1).any():
        raise UserError(
            nothing(target, table.place(target.columns[1]), "no training row has an event, all are censored")
        )
