"""The space that a search looks through: an axis for each key with several values, and points in it."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mtl_cli.commands.overrides import parse
from mtl_cli.errors import UserError

MAX_VALUES = 10_000
"""Values of one key; more of them are a typing error."""
EDGE = 0.001
"""How near to 0 and 1 the pieces come of which the weights of tasks are made: a task of weight 0 is not trained."""
Point = Mapping[str, Any]
"""Values by the name of a coordinate, as Optuna keeps them."""


class Axis(Protocol):
    """One or several coordinates of a point, and the overrides that they stand for."""

    @property
    def coordinates(self) -> Mapping[str, BaseDistribution]:
        """Where each coordinate lies."""
        ...

    def values(self, point: Point) -> dict[str, str]:
        """Return the values of overrides, by key as it was typed, at a point."""
        ...

    def grid(self, points: int) -> list[Point]:
        """Return the coordinates of evenly spaced points, `points` of an interval."""
        ...

    @property
    def examples(self) -> list[Point]:
        """Coordinates of points that make sense if all do."""
        ...


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends, both included."""

    key: str
    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def coordinates(self) -> Mapping[str, BaseDistribution]:
        """The interval."""
        if self.whole:
            return {self.key: IntDistribution(int(self.low), int(self.high), log=self.log)}
        return {self.key: FloatDistribution(self.low, self.high, log=self.log)}

    def values(self, point: Point) -> dict[str, str]:
        """Return the number, which has six digits."""
        return {self.key: self._text(point[self.key])}

    def _text(self, value: float) -> str:
        return str(value) if self.whole else repr(min(max(float(f"{value:.6g}"), self.low), self.high))

    def grid(self, points: int) -> list[Point]:
        """Return evenly spaced numbers, the ends included."""
        low, high = (math.log(end) if self.log else end for end in (self.low, self.high))
        places = [low + (high - low) * k / (points - 1) for k in range(points)]
        values = [min(max(math.exp(place) if self.log else place, self.low), self.high) for place in places]
        if self.whole:
            return [{self.key: value} for value in dict.fromkeys(round(value) for value in values)]
        return [{self.key: value} for value in dict.fromkeys(values)]

    @property
    def examples(self) -> list[Point]:
        """The two ends."""
        return self.grid(2)


@dataclass(frozen=True)
class Choice:
    """Some values, in an order that means something or not."""

    key: str
    texts: tuple[str, ...]
    ordered: bool = False

    @property
    def coordinates(self) -> Mapping[str, BaseDistribution]:
        """The number of the value where they are ordered, else the value."""
        if self.ordered:
            return {self.key: IntDistribution(0, len(self.texts) - 1)}
        return {self.key: CategoricalDistribution(self.texts)}

    def values(self, point: Point) -> dict[str, str]:
        """Return the value."""
        return {self.key: self.texts[point[self.key]] if self.ordered else str(point[self.key])}

    def grid(self, points: int) -> list[Point]:
        """Return every value."""
        return [{self.key: place if self.ordered else text} for place, text in enumerate(self.texts)]

    @property
    def examples(self) -> list[Point]:
        """Every value."""
        return self.grid(2)


@dataclass(frozen=True)
class Simplex:
    """Weights of T tasks that are positive and sum to 1: T − 1 pieces of [0, 1], each broken off what is left.

    A piece u takes the share 1 − (1 − u)^(1/r) of what is left, where r is the number of tasks that come after. So
    pieces that are uniform and independent give weights that are uniform on the simplex.
    """

    tasks: tuple[str, ...]

    @property
    def coordinates(self) -> Mapping[str, BaseDistribution]:
        """The pieces."""
        return {name: FloatDistribution(EDGE, 1.0 - EDGE) for name in self._names}

    @property
    def _names(self) -> list[str]:
        return [f"simplex/{name}" for name in self.tasks[:-1]]

    def values(self, point: Point) -> dict[str, str]:
        """Return the weights."""
        left, weights = 1.0, []
        for after, name in zip(range(len(self.tasks) - 1, 0, -1), self._names, strict=True):
            kept = left * (1.0 - point[name]) ** (1.0 / after)
            weights.append(left - kept)
            left = kept
        keys = [f"tasks.{name}.weight" for name in self.tasks]
        return {key: repr(float(f"{weight:.6g}")) for key, weight in zip(keys, [*weights, left], strict=True)}

    @property
    def equal(self) -> Point:
        """The pieces of equal weights."""
        number = len(self.tasks)
        shares = [1.0 / (number - index) for index in range(number - 1)]
        pieces = [1.0 - (1.0 - share) ** (number - 1 - index) for index, share in enumerate(shares)]
        return dict(zip(self._names, pieces, strict=True))

    def grid(self, points: int) -> list[Point]:
        """Return evenly spaced pieces."""
        places = [EDGE + (1.0 - 2 * EDGE) * k / (points - 1) for k in range(points)]
        return [
            dict(zip(self._names, each, strict=True)) for each in itertools.product(places, repeat=len(self._names))
        ]

    @property
    def examples(self) -> list[Point]:
        """Equal weights."""
        return [self.equal]


@dataclass(frozen=True)
class Space:
    """All axes of a search, and the overrides that are the same for all trials."""

    axes: tuple[Axis, ...]
    same: tuple[str, ...]

    @property
    def coordinates(self) -> dict[str, BaseDistribution]:
        """Every coordinate."""
        return {name: where for axis in self.axes for name, where in axis.coordinates.items()}

    def values(self, point: Point) -> dict[str, str]:
        """Return the values of overrides by key at a point."""
        return {key: text for axis in self.axes for key, text in axis.values(point).items()}

    def grid(self, points: int) -> list[Point]:
        """Return every combination of the axes' grids; the last axis changes fastest."""
        parts = [axis.grid(points) for axis in self.axes]
        if (number := math.prod(map(len, parts))) > MAX_VALUES:
            raise UserError(
                f"The grid has {number} trials; it can have {MAX_VALUES}. Give fewer values or search.points."
            )
        return [{name: value for part in each for name, value in part.items()} for each in itertools.product(*parts)]

    def examples(self) -> Iterator[dict[str, str]]:
        """Yield the values of a first point, then of points that differ from it in one axis."""
        first = {name: value for axis in self.axes for name, value in axis.examples[0].items()}
        yield self.values(first)
        for axis in self.axes:
            for part in axis.examples[1:]:
                yield self.values({**first, **part})


def read_space(overrides: Sequence[str], loader: ConfigLoader, log: bool) -> Space:
    """Return the space that overrides describe; one whose syntax is wrong is kept, for composing reports it.

    Raises:
        UserError: every range that is not one.
    """
    axes: list[Axis] = []
    same: list[str] = []
    problems: list[str] = []
    for text in overrides:
        try:
            override = parse(text, loader)
        except UserError:
            same.append(text)
            continue
        if not override.is_sweep_override():
            same.append(text)
            continue
        try:
            axes.append(axis_of(text, override, log))
        except UserError as error:
            problems += error.problems
    keys = [key for axis in axes for key in axis.coordinates]
    problems += [f"{key} is given twice. Give it once." for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if problems:
        raise UserError(problems)
    return Space(tuple(axes), tuple(same))


def axis_of(text: str, override: Override, log: bool) -> Axis:
    """Return the axis of one override with several values.

    Raises:
        UserError: the range is empty, or its logarithm is asked for and it holds 0.
    """
    key, sweep = override.get_key_element(), override.value()
    if isinstance(sweep, IntervalSweep):
        low, high, logarithmic = sweep.start, sweep.end, log or "log" in sweep.tags
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UserError(f"{text} is not a range. Use for example {key}=interval(0.1,10).")
        if logarithmic and low <= 0:
            raise UserError(f"{text} is searched on a logarithmic scale, which 0 is not on. Use a lower end above 0.")
        return Interval(key, low, high, logarithmic)
    values = tuple(itertools.islice(override.sweep_string_iterator(), MAX_VALUES + 1))
    if not 1 <= len(values) <= MAX_VALUES:
        raise UserError(f"{text} has {len(values) or 'no'} values; it can have 1 to {MAX_VALUES}.")
    if len(set(values)) < len(values):
        raise UserError(f"{text} names a value twice. Give each value once.")
    return Choice(key, values, isinstance(sweep, RangeSweep))
