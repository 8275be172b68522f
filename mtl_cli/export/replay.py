"""Validation rows through a bundle and through the checkpoint: whether both say the same."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.inference.base import Predictor
from mtl_cli.inference.checkpoint_predictor import CheckpointPredictor
from mtl_cli.tables.given import Given

TOLERANCE = 1e-4
"""Largest difference of a number, in the number's own size where that is above 1."""
TIES = 0.005
"""Largest share of rows whose class differs, as it may where two are as likely."""


@dataclass(frozen=True)
class Difference:
    """How far the columns of two predictors are apart: numbers relative to max(1, |x|), classes as a share of rows."""

    numbers: float
    classes: float

    @property
    def fits(self) -> bool:
        """Whether they are the same within the tolerance."""
        return self.numbers <= TOLERANCE and self.classes <= TIES


def validation_rows(predictor: CheckpointPredictor, most: int) -> dict[str, Given]:
    """Return validation rows of each dataset as they were before preprocessing.

    Raises:
        UserError: a dataset's files are not there, or it cannot say what its rows were.
    """
    found, problems = {}, list[str]()
    for name, source in predictor.model.sources.items():
        try:
            rows = source.given_rows("val", most)
        except UserError as error:
            problems += [f"The validation rows of '{name}' are replayed before a bundle is written: {each}"
                         for each in error.problems]  # fmt: skip
            continue
        if rows is not None:
            found[name] = rows
    if problems:
        raise UserError(problems)
    if not found:
        raise UserError("No dataset of the run can say what its validation rows were. Give rows to replay: input=FILE.")
    return found


def replay(expected: Predictor, found: Predictor, rows: Mapping[str, Given]) -> Difference:
    """Return how far two predictors are apart on rows."""
    differences = [difference(expected.predict(each), found.predict(each)) for each in rows.values() if each.num_rows]
    return Difference(max(each.numbers for each in differences), max(each.classes for each in differences))


def difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Difference:
    """Return how far columns are apart; of maps and boxes all numbers count.

    Raises:
        UserError: columns are missing.
    """
    if list(expected) != list(found):
        raise UserError(f"The bundle predicts {', '.join(found)}, the checkpoint {', '.join(expected)}.")
    numbers, classes = [0.0], [0.0]
    for name, values in expected.items():
        for one, other in zip(flat(values), flat(found[name]), strict=True):
            if one.shape != other.shape:
                numbers.append(float("inf"))
            elif one.dtype.kind == "f":
                apart = np.abs(one.astype(np.float64) - other) / np.maximum(1.0, np.abs(one.astype(np.float64)))
                numbers.append(float(apart.max(initial=0.0)) if np.isfinite(apart).all() else float("inf"))
            elif one.size:
                classes.append(float(np.mean(one != other)))
    return Difference(max(numbers), max(classes))


def flat(values: Any) -> list[np.ndarray[Any, Any]]:  # noqa: ANN401  a column
    """Return the arrays of a column: itself, those of each row, or of each row's boxes."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return [values]
    if isinstance(values, np.ndarray) and not any(isinstance(each, np.ndarray) for each in values):
        return [values]
    rows = [list(row.values()) if isinstance(row, Mapping) else [row] for row in values]
    return [np.asarray(each) for row in rows for each in row]


def median_seconds(run: Callable[[], object], budget: float = 0.5) -> float:
    """Return the median time of a call, of as many as fit into `budget` seconds, 3 at least; the first is left out."""
    run()
    seconds: list[float] = []
    begin = time.perf_counter()
    while len(seconds) < 3 or (time.perf_counter() - begin < budget and len(seconds) < 50):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def first_rows(rows: Given, count: int) -> Given:
    """Return the first rows, repeated where there are fewer."""
    if rows.table is not None:
        return Given(table=rows.table.take([row % rows.num_rows for row in range(count)]))
    picked = [row % rows.num_rows for row in range(count)]
    if rows.strings is not None:
        return Given(strings=[rows.strings[row] for row in picked])
    if rows.sentences is not None:
        return Given(sentences=[rows.sentences[row] for row in picked])
    assert rows.arrays is not None
    return Given(arrays=np.asarray(rows.arrays)[picked])
