"""Means with intervals over seeds or folds, paired differences, and the correction for the number of comparisons."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.answers.student import quantile, two_sided

LEVEL = 0.95
"""Probability of intervals; 1 − LEVEL is the chance of any wrong "better" or "worse" in a report."""
MOST_SEEDS = 1000
"""Seeds beyond which nobody is asked to run more."""


@dataclass(frozen=True)
class Unit:
    """What is repeated: a seed, or a fold of a cross-validation. Runs of one unit are paired."""

    seed: int
    fold: int | None = None


@dataclass(frozen=True)
class Repeats:
    """How far repetitions tell of new ones: the variance of a mean of n values is `shared` + 1/n times theirs."""

    over: str
    """"seeds" or "folds"."""
    shared: float = 0.0
    """Test rows / training rows for folds, whose training rows overlap; 0 for seeds."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n values, their standard deviation, and the standard error of the mean (NaN where n is 1)."""

    mean: float
    deviation: float
    error: float
    n: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the t interval of the mean; NaN where there is one value."""
        if self.n < 2:
            return math.nan, math.nan
        half = 0.0 if self.error == 0 else self.error * quantile(level, self.n - 1)
        return self.mean - half, self.mean + half

    @property
    def p_value(self) -> float:
        """Probability of a mean as far from 0 if the true one is 0; 1 where there is one value."""
        if self.n < 2 or self.mean == 0:
            return 1.0
        return two_sided(self.mean / self.error if self.error else math.inf, self.n - 1)


SEEDS = Repeats("seeds")


def repeats_of(units: Sequence[Unit], folds: int | None) -> Repeats:
    """Return what units repeat: folds where they differ in the fold, else seeds.

    For folds the variance is corrected for training sets that overlap (Nadeau and Bengio, "Inference for the
    generalization error", Machine Learning 2003).
    """
    if folds and len({unit.fold for unit in units}) > 1:
        return Repeats("folds", 1 / (folds - 1))
    return SEEDS


def by_repeat(values: Mapping[Unit, float], repeats: Repeats) -> list[float]:
    """Return one value per seed, or per fold, where several seeds of a fold are averaged first."""
    if repeats.over == "seeds":
        return [values[unit] for unit in sorted(values, key=lambda unit: (unit.seed, unit.fold or 0))]
    folds: dict[int, list[float]] = {}
    for unit, value in values.items():
        folds.setdefault(unit.fold or 0, []).append(value)
    return [statistics.fmean(folds[fold]) for fold in sorted(folds)]


def estimate(values: Sequence[float], repeats: Repeats, grain: float = 0.0) -> Estimate:
    """Return the mean of values with its error.

    `grain` is the step in which values come, such as 1 / rows for an accuracy. Rounding to it adds its own variance, so
    that a few values which happen to be equal are not taken for certainty.
    """
    n = len(values)
    if n < 2:
        return Estimate(values[0] if values else math.nan, math.nan, math.nan, n)
    deviation = statistics.stdev(values)
    variance = deviation**2 + grain**2 / 12
    return Estimate(statistics.fmean(values), deviation, math.sqrt(variance * (1 / n + repeats.shared)), n)


def grain_of(values: Sequence[float]) -> float:
    """Return the smallest step between different values; 0 where all are equal."""
    ordered = sorted(set(values))
    return min((high - low for low, high in itertools.pairwise(ordered)), default=0.0)


def holm(p_values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return adjusted p-values by Holm's method with weights: one that is ≤ 0.05 counts, whatever the number of them.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index] / weights[index])
    left, highest = math.fsum(weights), 0.0
    adjusted = [1.0] * len(p_values)
    for index in order:
        highest = max(highest, min(1.0, p_values[index] * left / weights[index]))
        adjusted[index] = highest
        left -= weights[index]
    return adjusted


def more_seeds(found: Estimate, repeats: Repeats, level: float, half_width: float) -> int | None:
    """Return how many more seeds bring half of the interval to a width, if they vary as these do; None: too many."""
    if found.n < 2 or half_width <= 0:
        return None
    scale = found.error / math.sqrt(1 / found.n + repeats.shared)

    def enough(n: int) -> bool:
        return quantile(level, n - 1) * scale * math.sqrt(1 / n + repeats.shared) <= half_width

    low, high = found.n, found.n + 1
    while not enough(high):
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high - found.n
