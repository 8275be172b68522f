"""A label field that was fitted on training rows: what was found, and how classes are read and ordered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mtl_cli.batch import FieldSpec
from mtl_cli.config.annotations import typed
from mtl_cli.tables.declared_targets import NAMED, ROLES, Target
from mtl_cli.tables.place import Place


class Columns(Protocol):
    """Rows whose columns can be read as numbers or as categories."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def number(self, name: str) -> np.ndarray:
        """Return a column float64 [N], NaN where a cell is missing."""
        ...

    def text(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return a column as codes int64 [N], -1 where a cell is missing, and the values that they number."""
        ...

    def place(self, name: str) -> Place:
        """Return where a column stands, for messages."""
        ...


@dataclass(frozen=True)
class FittedTarget:
    """A target with what was found in its training rows: classes, mean, standard deviation, labels per class."""

    target: Target
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: float = 1.0
    weight: float = 1.0
    """Mean weight of the training labels, where rows have weights."""

    @property
    def field_spec(self) -> FieldSpec:
        """What a task sees of the field; "binary" is a class of two, the second one positive."""
        kind = "class" if self.target.kind == "binary" else self.target.kind
        wide = kind == "multilabel" or (kind == "real" and len(self.target.columns) > 1)
        return FieldSpec(
            kind,
            num_classes=len(self.classes),
            class_names=self.classes,
            shape=(len(self.classes or self.target.columns),) if wide else (2,) if kind in ROLES else (),
            mean=self.mean,
            std=self.std,
            counts=self.counts,
            columns=self.target.columns,
            weights=f"{self.target.name} weights" if self.target.weight_column else "",
            top=self.top,
        )

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        target = {key: value for key, value in vars(self.target).items() if key != "task"}
        target |= {name: list(getattr(self.target, name)) for name in ("columns", "classes", "missing")}
        fitted = {name: list(getattr(self, name)) for name in ("classes", "mean", "std", "counts")}
        return {"target": target, **fitted, "top": self.top, "weight": self.weight}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "FittedTarget":
        """Return the target of a checkpoint.

        Raises:
            ValueError: the state is not that of a target.
        """
        found = typed(cls, {**state, "target": typed(Target, state["target"])})
        if found.target.kind in NAMED and (len(found.classes) < 2 or len(found.counts) != len(found.classes)):
            raise ValueError(f"the target {found.target.name} has {len(found.classes)} classes")
        return found


def class_codes(target: Target, table: Columns) -> tuple[np.ndarray, list[str]]:
    """Return the labels of a target with classes as codes int64 [N], -1 where missing, and what they number."""
    codes, values = table.text(target.columns[0])
    if not target.ignore_case:
        return codes, values
    number: dict[str, int] = {}
    lookup = [number.setdefault(value.lower(), len(number)) for value in values]
    return np.array([*lookup, -1], dtype=np.int64)[codes], list(number)


def in_order(values: Sequence[str] | Mapping[str, Any]) -> tuple[str, ...]:
    """Return classes in order: in that of numbers if all are numbers, otherwise alphabetical."""
    return tuple(sorted(values, key=float) if all(is_number(value) for value in values) else sorted(values))


def is_number(value: str) -> bool:
    """Return True for the text of a finite number."""
    try:
        return np.isfinite(float(value)).item()
    except ValueError:
        return False
