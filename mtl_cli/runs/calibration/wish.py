"""What the words of a command ask to be fitted on validation rows; read without torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtl_cli.errors import UserError, nearest

WORDS = ("calibrate", "thresholds", "coverage")
METRICS = ("accuracy", "f1")
COVERAGE = 0.9
Costs = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Wish:
    """A metric or matrix of costs [C, C] by task, "" standing for all tasks, and the coverage of sets and intervals."""

    thresholds: Mapping[str, str | Costs]
    coverage: float

    def of(self, task: str) -> str | Costs | None:
        """Return what decisions of a task are to be best at."""
        return self.thresholds.get(task, self.thresholds.get(""))

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> "Wish | None":
        """Return what words such as calibrate=true, thresholds=f1 and coverage=0.9 ask for, None where for nothing.

        Raises:
            UserError: they ask for nothing that there is.
        """
        calibrate = words.get("calibrate", False)
        if type(calibrate) is not bool:
            raise UserError(f"calibrate is {calibrate!r}; it is true or false. Use calibrate=true.")
        if not calibrate:
            if others := [word for word in WORDS[1:] if words.get(word) is not None]:
                raise UserError(f"{others[0]}= is fitted together with the temperature. Use it with calibrate=true.")
            return None
        coverage = words.get("coverage", COVERAGE)
        if isinstance(coverage, bool) or not isinstance(coverage, int | float) or not 0.5 <= coverage < 1.0:
            raise UserError(f"coverage is {coverage!r}; it is a share of rows from 0.5 to below 1. Use coverage=0.9.")
        wanted = words.get("thresholds")
        if wanted is None:
            return cls({}, float(coverage))
        each = wanted if isinstance(wanted, dict) else {"": wanted}
        return cls({str(task): checked_wish(value) for task, value in each.items()}, float(coverage))


def checked_wish(value: object) -> str | Costs:
    """Return "accuracy", "f1" or a square matrix of costs.

    Raises:
        UserError: it is none of these.
    """
    use = "Use thresholds=accuracy, thresholds=f1, or costs of true and predicted: 'thresholds=cost=[[0,1],[5,0]]'."
    if isinstance(value, str) and value in METRICS:
        return value
    rows = value if isinstance(value, list) else []
    square = bool(rows) and all(isinstance(row, list) and len(row) == len(rows) for row in rows)
    if not square or not all(number(cell) for row in rows for cell in row):
        hint = nearest(value, METRICS) if isinstance(value, str) else ""
        raise UserError(f"thresholds is {value!r}, which is neither a metric nor a square matrix of costs.{hint} {use}")
    return tuple(tuple(float(cell) for cell in row) for row in rows)


def number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
