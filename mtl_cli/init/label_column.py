"""A column of labels, as mtl-init looks at it: its numbers, its classes and their order."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from mtl_cli.init.association import Labels
from mtl_cli.init.scales import words_in_order
from mtl_cli.tables.labels import TRUTH, in_order

MAX_ORDERED = 11
"""Different numbers up to which they may be classes or steps of a scale."""


@dataclass(frozen=True)
class LabelColumn:
    """A column of labels: its numbers where all are, codes [N], and the names of codes where these are not too many."""

    name: str
    numbers: np.ndarray | None
    codes: np.ndarray
    values: tuple[str, ...]
    distinct: int
    folded: bool = False
    """Whether labels that differed in capitals only were joined."""
    scale: bool = False
    """Whether values stand in the order that their words have."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The values in the order of classes."""
        return self.values if self.scale else in_order(self.values)

    @property
    def in_word_order(self) -> "LabelColumn":
        """The column with its codes in the order that its words have, where they have one."""
        ordered = words_in_order(self.values) if self.numbers is None else []
        if not ordered:
            return self
        lookup = [ordered.index(value) for value in self.values]
        return replace(self, codes=np.array([*lookup, -1])[self.codes], values=tuple(ordered), scale=True)

    @property
    def labels(self) -> Labels:
        """The column, for its association with others."""
        if self.numbers is not None and self.distinct > MAX_ORDERED:
            return Labels.of_numbers(self.numbers)
        return Labels(self.codes, self.numbers)

    @property
    def alike(self) -> list[str]:
        """Labels of a column of text that differ from another one in capitals only."""
        times = Counter(map(str.lower, self.values))
        return [value for value in self.values if self.numbers is None and times[value.lower()] > 1]

    @property
    def without_case(self) -> "LabelColumn":
        """The column with such labels joined, in small letters."""
        if not self.alike:
            return self
        number: dict[str, int] = {}
        lookup = [number.setdefault(value.lower(), len(number)) for value in self.values]
        return LabelColumn(self.name, None, np.array([*lookup, -1])[self.codes], tuple(number), len(number), True)

    def head(self, rows: int) -> "LabelColumn":
        """Return the first rows of the column."""
        numbers = None if self.numbers is None else self.numbers[:rows]
        return replace(self, numbers=numbers, codes=self.codes[:rows])

    @property
    def present(self) -> int:
        """Rows with a label."""
        return int((self.codes >= 0).sum())

    @property
    def is_truth(self) -> bool:
        """True for two values that say yes and no."""
        return self.distinct <= 2 and all(value.lower() in TRUTH for value in self.values)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by class, in the classes' order."""
        counted = np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))
        by_name = dict(zip(self.values, counted.tolist(), strict=True))
        return {name: by_name[name] for name in self.classes}
