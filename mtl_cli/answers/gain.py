"""Δm: the mean relative gain over a baseline (Maninis et al., "Attentive Single-Tasking of Multiple Tasks", CVPR 2019).

It is the mean over tasks of the mean over each task's metrics of s · (M − B) / |B|, in percent, where s is −1 for
metrics that are better when lower. Higher is better. Losses are not metrics here.

Differs from the paper: |B| in the place of B, since some metrics may be negative. B in the denominator is the mean of
the baseline over the runs that are paired, so that the mean of Δm over seeds is the Δm of the means.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.answers.inference import Unit

SMALLEST = 1e-12
"""Baseline values nearer to 0 than this have no relative gain."""


@dataclass(frozen=True)
class Paired:
    """A metric of a setting and of its baseline, by the seeds and folds that both have."""

    metric: str
    lower: bool
    own: Mapping[Unit, float]
    base: Mapping[Unit, float]
    grain: float = 0.0
    """Step in which the values come."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.metric.partition("/")[0]

    @property
    def scale(self) -> float:
        """The baseline's mean, without its sign."""
        return abs(statistics.fmean(self.base.values())) if self.base else 0.0

    @property
    def near_zero(self) -> bool:
        """Whether the baseline's values lie around 0: the mean within two deviations of it."""
        return len(self.base) > 1 and SMALLEST < self.scale < 2 * statistics.stdev(self.base.values())

    @property
    def differences(self) -> dict[Unit, float]:
        """Setting minus baseline, in the metric's own sign."""
        return {unit: self.own[unit] - self.base[unit] for unit in self.base}


@dataclass(frozen=True)
class Gain:
    """Δm in percent by seed and fold, and the step in which it comes."""

    values: Mapping[Unit, float]
    grain: float
    left_out: tuple[str, ...]
    """Metrics that have no relative gain."""
    inflated: tuple[str, ...] = ()
    """Metrics whose baseline lies around 0, so that small differences are large relative gains."""


def gain(pairs: Sequence[Paired]) -> Gain:
    """Return Δm over the seeds and folds for which all of the metrics are there."""
    kept = [pair for pair in pairs if pair.scale > SMALLEST]
    by_task: dict[str, list[Paired]] = {}
    for pair in kept:
        by_task.setdefault(pair.task, []).append(pair)
    units = [unit for unit in (kept[0].base if kept else ()) if all(unit in pair.base for pair in kept)]
    factors = {
        pair.metric: 100 * (-1 if pair.lower else 1) / pair.scale / len(own) / len(by_task)
        for own in by_task.values()
        for pair in own
    }
    values = {
        unit: math.fsum(factors[pair.metric] * (pair.own[unit] - pair.base[unit]) for pair in kept) for unit in units
    }
    grain = math.sqrt(sum((factors[pair.metric] * pair.grain) ** 2 for pair in kept))
    zero = tuple(pair.metric for pair in pairs if pair.scale <= SMALLEST)
    return Gain(values, grain, zero, tuple(pair.metric for pair in kept if pair.near_zero))
