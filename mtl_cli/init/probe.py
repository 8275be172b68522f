"""How well one column predicts targets on rows that it was not fitted on: as a number, or as a category."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Fitted = Callable[[np.ndarray], np.ndarray]
"""Predictions of all rows [N, K], given the mask of the rows to fit on [N]."""
FOLDS = 3
MAX_ROWS = 5_000
CLIP = 4.0
BINS, NEIGHBOURS = 10, 2
MANY = 20
"""Different values from which on a number is also tried in parts of equal size."""
RANK, PASSES = 4, 8
"""Size of the vectors by which two categories are tried together, and how often these are fitted in turn."""
SURE, WORTH = 2.5, 0.02
"""Standard errors, and share of the squared error, by which a category must be better than a number."""


@dataclass(frozen=True)
class Cells:
    """A column of inputs: codes of its values [N], -1 where missing, and their numbers where all are numbers.

    `values` are the texts of the codes, where these are texts.
    """

    codes: np.ndarray
    numbers: np.ndarray | None
    values: tuple[str, ...] = ()

    def take(self, rows: np.ndarray) -> "Cells":
        """Return the cells of some rows."""
        return Cells(self.codes[rows], None if self.numbers is None else self.numbers[rows])


class Probe:
    """Rows of a target, divided into folds: each is predicted by what was fitted on the others.

    Args:
        labels: the target as numbers float64 [N, K], NaN where missing.
        beside: numbers of other columns [N, B], whose linear share in the target is left out where a number and a
            category are compared; NaN where missing.
    """

    def __init__(self, labels: np.ndarray, beside: np.ndarray) -> None:
        there = np.flatnonzero(~np.isnan(labels).any(axis=1))
        stream = np.random.RandomState(0)
        self.rows = np.sort(stream.permutation(there)[:MAX_ROWS])
        self.labels = labels[self.rows]
        self.fold = stream.permutation(len(self.rows)) % FOLDS
        if beside.shape[1]:
            filled = np.nan_to_num(standardised(beside[self.rows], np.ones(len(self.rows), dtype=bool)))
            self.rest = self.labels - self._held(lambda train: linear(filled, self.labels, train))
        else:
            self.rest = self.labels

    def is_category(self, cells: Cells) -> float:
        """Return the share of the error of the column as a number that it saves as a category; 0 where that is chance.

        A number predicts by a polynomial or, with many values, by parts of equal size. A category predicts by the mean
        of its rows, drawn towards the mean of all.
        """
        cells = cells.take(self.rows)
        if len(self.rows) < 2 * FOLDS or cells.numbers is None:
            return 0.0
        numbers, target = cells.numbers, self.rest
        smooth = min(
            self._errors(target, lambda train: mean_of(target, train)),
            self._errors(target, lambda train: polynomial(numbers, target, train)),
            key=np.mean,
        )
        if len(np.unique(cells.codes)) > MANY:
            parts = self._errors(target, lambda train: means_of(bins(numbers, train), target, train))
            smooth = min(smooth, parts, key=np.mean)
        return saved(smooth, self._errors(target, lambda train: means_of(cells.codes, target, train)))

    def are_categories(self, one: Cells, other: Cells) -> float:
        """Return the share of the error of two columns as numbers that they save as categories whose pairs count.

        As categories they predict by products of vectors, as users and items do in a factorised table.
        """
        one, other = one.take(self.rows), other.take(self.rows)
        if len(self.rows) < 2 * FOLDS or one.numbers is None or other.numbers is None:
            return 0.0
        every = np.ones(len(self.rows), dtype=bool)
        z = [np.nan_to_num(standardised(numbers, every)) for numbers in (one.numbers, other.numbers)]
        design = np.column_stack([*z, z[0] * z[1], z[0] ** 2, z[1] ** 2])
        target, codes = self.rest, (one.codes - one.codes.min(), other.codes - other.codes.min())
        smooth = min(
            self._errors(target, lambda train: mean_of(target, train)),
            self._errors(target, lambda train: linear(design, target, train)),
            key=np.mean,
        )
        return saved(smooth, self._errors(target, lambda train: factorised(*codes, target, train)))

    def skill(self, cells: Cells) -> float:
        """Return the share of what varies in the target that the column predicts alone, by whatever is best."""
        cells = cells.take(self.rows)
        if len(self.rows) < 2 * FOLDS:
            return 0.0
        target = self.labels
        whole = self._errors(target, lambda train: mean_of(target, train)).mean()
        tried = [self._errors(target, lambda train: means_of(cells.codes, target, train))]
        if (numbers := cells.numbers) is not None:
            tried.append(self._errors(target, lambda train: polynomial(numbers, target, train)))
            tried.append(self._errors(target, lambda train: neighbours(numbers, target, train)))
        return float(1 - min(map(np.mean, tried)) / whole) if whole > 0 else 0.0

    def _held(self, fitted: Fitted) -> np.ndarray:
        out = np.empty_like(self.labels)
        for number in range(FOLDS):
            held = self.fold == number
            out[held] = fitted(~held)[held]
        return out

    def _errors(self, target: np.ndarray, fitted: Fitted) -> np.ndarray:
        return ((target - self._held(fitted)) ** 2).sum(axis=1)


def saved(before: np.ndarray, after: np.ndarray) -> float:
    """Return the share of squared errors [N] that others save; 0 where that is little or chance."""
    gain = before - after
    share = float(gain.mean() / before.mean()) if before.mean() > 0 else 0.0
    return share if share > WORTH and gain.mean() > SURE * gain.std() / np.sqrt(len(gain)) else 0.0


def mean_of(target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the mean of the training rows for all rows [N, K]."""
    return np.broadcast_to(target[train].mean(axis=0), target.shape)


def standardised(numbers: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return numbers [N] or [N, B] in deviations from the mean of the training rows, not too many of them."""
    there = ~np.isnan(numbers[train])
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.nansum(numbers[train], axis=0) / count
    std = np.sqrt(np.nansum((numbers[train] - mean) ** 2, axis=0) / count)
    return np.clip((numbers - mean) / np.where(std > 0, std, 1.0), -CLIP, CLIP)


def linear(inputs: np.ndarray, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return what a linear model says of all rows [N, K] of inputs [N, B], fitted on training rows."""
    design = np.column_stack([np.ones(len(inputs)), inputs])
    gram = design[train].T @ design[train] + 1e-3 * np.eye(design.shape[1])
    return design @ np.linalg.solve(gram, design[train].T @ target[train])


def polynomial(numbers: np.ndarray, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return what a polynomial of degree 3 says of all rows [N, K]; a missing number has a value of its own."""
    z = np.nan_to_num(standardised(numbers, train))
    return linear(np.column_stack([z, z**2, z**3, np.isnan(numbers)]), target, train)


def bins(numbers: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the part of each number [N] when the training rows are cut into parts of equal size; -1 where missing."""
    edges = np.unique(np.nanquantile(numbers[train], np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="right"))


def means_of(codes: np.ndarray, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return, for all rows [N, K], the mean of the training rows with the same code, drawn towards that of all.

    It is drawn by σ²/(n·τ²): the variance within codes, by n rows times that between codes (empirical Bayes).
    """
    codes = codes - codes.min()
    size = int(codes.max()) + 1
    counts = np.bincount(codes[train], minlength=size).astype(np.float64)
    middle = target[train].mean(axis=0)
    found = np.empty_like(target)
    for k in range(target.shape[1]):
        sums = np.bincount(codes[train], target[train, k] - middle[k], minlength=size)
        mean = np.divide(sums, counts, out=np.zeros(size), where=counts > 0)
        seen = counts > 0
        within = ((target[train, k] - middle[k] - mean[codes[train]]) ** 2).sum() / max(1.0, counts.sum() - seen.sum())
        between = (counts * mean**2).sum() / max(1.0, counts.sum()) - within * seen.sum() / max(1.0, counts.sum())
        drawn = counts / np.maximum(counts + within / max(between, 1e-9 + 1e-3 * within), 1e-9)
        found[:, k] = middle[k] + (mean * drawn)[codes]
    return found


def neighbours(numbers: np.ndarray, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return, for all rows [N, K], the mean of the training rows whose numbers are nearest: steps and peaks too."""
    present = np.flatnonzero(train & ~np.isnan(numbers))
    found = mean_of(target, train).copy()
    if len(present) < 2 * NEIGHBOURS:
        return found
    order = present[np.argsort(numbers[present], kind="stable")]
    sums = np.concatenate([np.zeros((1, target.shape[1])), np.cumsum(target[order], axis=0)])
    there = np.flatnonzero(~np.isnan(numbers))
    at = np.searchsorted(numbers[order], numbers[there])
    low = np.clip(at - NEIGHBOURS, 0, len(order))
    high = np.clip(at + NEIGHBOURS, 0, len(order))
    found[there] = (sums[high] - sums[low]) / (high - low)[:, None]
    return found


def factorised(one: np.ndarray, other: np.ndarray, target: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return, for all rows [N, K], the mean and the product of a vector per code of two columns [N], fitted in turn."""
    stream = np.random.RandomState(0)
    found = mean_of(target, train).copy()
    for k in range(target.shape[1]):
        rest = target[train, k] - target[train, k].mean()
        vectors = [stream.randn(int(codes.max()) + 1, RANK) * 0.3 for codes in (one, other)]
        for _ in range(PASSES):
            for own, codes, others in ((0, one, other), (1, other, one)):
                vectors[own] = ridge_by_code(codes[train], vectors[1 - own][others[train]], rest, len(vectors[own]))
        found[:, k] += (vectors[0][one] * vectors[1][other]).sum(axis=1)
    return found


def ridge_by_code(codes: np.ndarray, inputs: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Return the weights [size, R] of a linear model of inputs [N, R] for each code [N], drawn towards 0."""
    gram, moment = np.empty((size, RANK, RANK)), np.empty((size, RANK))
    for row in range(RANK):
        moment[:, row] = np.bincount(codes, inputs[:, row] * target, minlength=size)
        for column in range(RANK):
            gram[:, row, column] = np.bincount(codes, inputs[:, row] * inputs[:, column], minlength=size)
    return np.linalg.solve(gram + target.var() * np.eye(RANK), moment[:, :, None])[:, :, 0]
