"""What a verdict holds: comparisons of metrics, what is said of each setting, and the whole of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mtl_cli.answers.baseline import Baseline
from mtl_cli.answers.inference import (
    LEVEL,
    SEEDS,
    Estimate,
    Repeats,
    more_seeds,
)
from mtl_cli.answers.settings import Setting

GAIN = "Δm"
BETTER, WORSE, SAME, UNKNOWN, NONE = "better", "worse", "no difference", "cannot tell", ""
MARGIN = 1.0
"""Percent of the baseline's value below which differences do not matter."""


@dataclass(frozen=True)
class Comparison:
    """One metric of a setting, or Δm, against the baseline: the difference is setting − baseline, in its own sign."""

    metric: str
    lower: bool
    own: Estimate | None
    difference: Estimate | None = None
    repeats: Repeats = SEEDS
    margin: float = 0.0
    """Largest difference that does not matter."""
    adjusted: float = 1.0
    """p-value, corrected for all comparisons of the report."""
    level: float = LEVEL
    """Probability of the interval that "no difference larger than x" stands on."""

    @property
    def word(self) -> str:
        """BETTER, WORSE, SAME, UNKNOWN, or NONE where nothing is compared."""
        found = self.difference
        if found is None:
            return NONE
        if found.n > 1 and self.adjusted <= 1 - LEVEL:
            return BETTER if (found.mean < 0) == self.lower else WORSE
        return SAME if self.bound <= self.margin else UNKNOWN

    @property
    def bound(self) -> float:
        """The x of "no difference larger than x"."""
        if self.difference is None or self.difference.n < 2:
            return math.inf
        return max(map(abs, self.difference.interval(self.level)))

    @property
    def more(self) -> int | None:
        """Seeds after which an answer is likely, if differences stay as they are; None: too many, or unknown."""
        found = self.difference
        if found is None or found.n < 2:
            return None
        return more_seeds(found, self.repeats, self.level, max(self.margin, abs(found.mean)) / 2)


@dataclass(frozen=True)
class Answer:
    """All that is said of one setting."""

    setting: Setting
    baseline: Baseline | None
    gain: Comparison | None
    metrics: tuple[Comparison, ...]
    costs: Mapping[str, float]
    refused: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()

    @property
    def is_baseline(self) -> bool:
        """True for the setting that others are compared with."""
        return self.baseline is None


@dataclass(frozen=True)
class Verdict:
    """What a set of runs says together."""

    split: str
    over: str
    """What is repeated: "seeds" or "folds"."""
    baseline: str
    answers: tuple[Answer, ...]
    notes: tuple[str, ...]
    margin: float
    comparisons: int

    @property
    def unrepeated(self) -> bool:
        """True where no setting was run twice, so that no difference can be told from chance."""
        return len(self.answers) > 1 and all(len(answer.setting.runs) == 1 for answer in self.answers)
