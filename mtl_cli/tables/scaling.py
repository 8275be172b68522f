"""Numbers as model inputs: missing ones are filled in, then all are scaled, by statistics of the training rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

IMPUTE = ("mean", "median", "zero", "constant")
SCALE = ("standard", "none")
TABLE_SCALE = (*SCALE, "quantile")
BLOCK_ROWS = 1 << 16
GATHERED_COLUMNS, GATHERED_NUMBERS = 4, 1 << 23
"""Columns whose quantiles are found together: so many, or more where these are no more numbers than that."""
KNOTS = 512
"""Quantiles of a column that scale=quantile keeps, where it has so many training rows."""

FAR_AWAY = 4.0
"""Standard deviations from the mean beyond which at most one of sixteen training rows lies."""


class Rows(Protocol):
    """A matrix of numbers that is indexed by rows."""

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers of rows [B], float64 [B, columns]."""
        ...


@dataclass(frozen=True)
class Scaler:
    """Statistics of number columns, float64 [columns]: x, or `fill` where it is missing, becomes (x - mean) / std.

    `marked` are the columns that had missing values in training; each gets a column that says so, 1 or 0. With `knots`,
    quantiles in ascending order [columns, Q], x becomes the place of a normal variable at the same quantile instead.
    """

    mean: np.ndarray
    std: np.ndarray
    fill: np.ndarray
    marked: np.ndarray
    knots: np.ndarray | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return inputs float32 [B, columns + marked] of numbers float64 [B, columns], NaN where missing."""
        absent = np.isnan(values)
        if absent.any():
            values = np.where(absent, self.fill, values)
        placed = (values - self.mean) / self.std if self.knots is None else normal_places(values, self.knots)
        scaled = placed.astype(np.float32)
        if not len(self.marked):
            return scaled
        return np.concatenate([scaled, absent[:, self.marked].astype(np.float32)], axis=1)

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.mean) + len(self.marked)

    @property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest numbers that are usual, float64 [columns]; without scaling any are."""
        if self.knots is not None:
            return self.knots[:, 0], self.knots[:, -1]
        if not self.mean.any() and (self.std == 1).all():
            return np.full(len(self.mean), -np.inf), np.full(len(self.mean), np.inf)
        return self.mean - FAR_AWAY * self.std, self.mean + FAR_AWAY * self.std

    def state(self) -> dict[str, Any]:
        """Return tensors for a checkpoint."""
        import torch

        return {name: torch.from_numpy(np.asarray(value)) for name, value in self.arrays().items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the statistics by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def of(cls, state: Mapping[str, Any], width: int) -> "Scaler":
        """Return the scaler of a checkpoint, of `width` columns.

        Raises:
            ValueError: the state is not that of a scaler.
        """
        marked = checked_numbers(state["marked"], len(state["marked"]), "marked", whole=True)
        if any(not 0 <= column < width for column in marked.tolist()):
            raise ValueError(f"marked are {marked.tolist()} of {width} columns")
        mean, std, fill = (checked_numbers(state[name], width, name) for name in ("mean", "std", "fill"))
        if not (std > 0).all():
            raise ValueError(f"std is {std.min():g}; a standard deviation is above 0")
        return cls(mean, std, fill, marked, checked_knots(state["knots"], width) if "knots" in state else None)


class Float32Scaler:
    """What a scaler without knots does, in float32 and to its precision, of numbers that are kept as x − centre."""

    def __init__(self, scaler: Scaler, centre: np.ndarray) -> None:
        self._mean = (scaler.mean - centre).astype(np.float32)
        self._factor = (1.0 / scaler.std).astype(np.float32)
        self._fill = ((scaler.fill - scaler.mean) / scaler.std).astype(np.float32)
        self._marked = scaler.marked

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return inputs float32 [B, columns + marked] of x − centre, float32 [B, columns], NaN where missing."""
        scaled = values - self._mean
        scaled *= self._factor
        absent = np.isnan(scaled)
        if absent.any():
            np.copyto(scaled, self._fill, where=absent)
        if not len(self._marked):
            return scaled
        return np.concatenate([scaled, absent[:, self._marked].astype(np.float32)], axis=1)


def fit_scaler(
    matrix: "Rows",
    columns: np.ndarray,
    rows: np.ndarray,
    impute: str,
    constant: float,
    indicators: bool,
    scale: str,
) -> Scaler:
    """Return the scaler of some columns of a matrix float64 [N, …], fitted on `rows` of it.

    Mean, standard deviation and quantiles are those of the values that are present. A column without any value, or with
    only one distinct value, has standard deviation 1.
    """
    width = len(columns)
    count, total = np.zeros(width), np.zeros(width)
    for block in blocks(matrix, columns, rows):
        count += (~np.isnan(block)).sum(axis=0)
        total += np.nansum(block, axis=0)
    mean = np.divide(total, count, out=np.zeros(width), where=count > 0)
    square = np.zeros(width)
    for block in blocks(matrix, columns, rows):
        square += np.nansum((block - mean) ** 2, axis=0)
    std = np.sqrt(np.divide(square, count, out=np.zeros(width), where=count > 0))
    std = np.where(std > 1e-12 * np.maximum(np.abs(mean), 1e-300), std, 1.0)
    fills = {"mean": mean, "zero": np.zeros(width), "constant": np.full(width, constant)}
    if impute == "median":
        each = present_values(matrix, columns, rows)
        fills["median"] = np.array([np.median(values) if values.size else 0.0 for values in each])
    marked = np.flatnonzero(count < len(rows)) if indicators else np.zeros(0, dtype=np.int64)
    if scale == "none":
        mean, std = np.zeros(width), np.ones(width)
    knots = None if scale != "quantile" else fit_knots(matrix, columns, rows)
    return Scaler(mean, std, fills[impute], marked, knots)


def fit_knots(matrix: "Rows", columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return quantiles (i + ½)/Q of the values that are present, float64 [columns, Q]; zeros where there is none."""
    at = (np.arange(min(KNOTS, max(2, len(rows)))) + 0.5) / min(KNOTS, max(2, len(rows)))
    found = np.zeros((len(columns), len(at)))
    for own, values in zip(found, present_values(matrix, columns, rows), strict=True):
        if values.size:
            own[:] = np.quantile(values, at, method="hazen")
    return found


def normal_places(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return Φ⁻¹(F(x)) of values float64 [B, columns], where F interpolates the quantiles `knots` [columns, Q].

    A value that is several quantiles at once, as in a column of few different numbers, is at the middle of them. Values
    beyond the training rows' are where the outermost are.
    """
    quantiles = (np.arange(knots.shape[1]) + 0.5) / knots.shape[1]
    found = np.empty(values.shape)
    for column, (x, own) in enumerate(zip(values.T, knots, strict=True)):
        last, first = np.interp(x, own, quantiles), -np.interp(-x, -own[::-1], -quantiles[::-1])
        found[:, column] = (last + first) / 2
    return normal_quantiles(found)


NEAR = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
FAR = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
"""Numerator and denominator of the quotients of polynomials of algorithm AS 241, lowest power first."""


def normal_quantiles(shares: np.ndarray) -> np.ndarray:
    """Return Φ⁻¹ of shares between 1e-11 and 1 − 1e-11, to 16 digits.

    Source: Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 1988.
    """
    centred = shares - 0.5
    near = np.abs(centred) <= 0.425
    tail = np.sqrt(-np.log(np.where(near, 0.5, np.minimum(shares, 1.0 - shares)))) - 1.6
    outer = np.sign(centred) * _quotient(FAR, tail)
    return np.where(near, centred * _quotient(NEAR, 0.180625 - np.where(near, centred, 0.0) ** 2), outer)


def _quotient(parts: tuple[tuple[float, ...], tuple[float, ...]], at: np.ndarray) -> np.ndarray:
    above, below = (np.polynomial.polynomial.polyval(at, part) for part in parts)
    return np.asarray(above / below)


def present_values(matrix: "Rows", columns: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the values of each column that are present, in some rows of a matrix."""
    together = max(GATHERED_COLUMNS, GATHERED_NUMBERS // max(1, len(rows)))
    for start in range(0, len(columns), together):
        part = columns[start : start + together]
        values = np.concatenate([np.empty((0, len(part))), *blocks(matrix, part, rows)])
        for column in values.T:
            yield column[~np.isnan(column)]


def blocks(matrix: "Rows", columns: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield some columns of `rows` of a matrix, a block of rows at a time."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield matrix[rows[start : start + BLOCK_ROWS]][:, columns]


def checked_numbers(value: object, length: int, name: str, whole: bool = False) -> np.ndarray:
    """Return a tensor [length] of a checkpoint as an array; `whole` are integers.

    Raises:
        ValueError: it is not a tensor, or has another shape or type.
    """
    import torch

    if not isinstance(value, torch.Tensor) or value.shape != (length,) or value.is_floating_point() == whole:
        found = f"of shape {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)[:40]
        raise ValueError(f"{name} is {found}, not {length} numbers")
    return value.numpy()


def checked_knots(value: object, width: int) -> np.ndarray:
    """Return the quantiles [width, Q] of a checkpoint as an array.

    Raises:
        ValueError: they are not ascending numbers of that many columns.
    """
    import torch

    if not isinstance(value, torch.Tensor) or value.ndim != 2 or len(value) != width or not value.is_floating_point():
        found = f"of shape {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)[:40]
        raise ValueError(f"knots are {found}, not quantiles of {width} columns")
    if value.shape[1] < 2 or not (value.diff(dim=1) >= 0).all():
        raise ValueError("knots do not ascend, or a column has fewer than 2")
    return value.double().numpy()
