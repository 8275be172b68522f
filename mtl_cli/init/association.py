"""How two columns of labels hang together: correlation, Cramér's V and mutual information."""

from dataclasses import dataclass

import numpy as np

BINS = 10
"""Parts of equal size that numbers are cut into for mutual information."""


@dataclass(frozen=True)
class Labels:
    """A column of labels: codes int64 [N], -1 where missing, and the numbers that they stand for, if they do."""

    codes: np.ndarray
    numbers: np.ndarray | None = None

    @classmethod
    def of_numbers(cls, values: np.ndarray) -> "Labels":
        """Return numbers float64 [N], NaN where missing, with codes of `BINS` parts of equal size."""
        present = ~np.isnan(values)
        codes = np.full(len(values), -1, dtype=np.int64)
        if present.any():
            edges = np.unique(np.quantile(values[present], np.linspace(0, 1, BINS + 1)[1:-1]))
            codes[present] = np.searchsorted(edges, values[present], side="right")
        return cls(codes, values)


@dataclass(frozen=True)
class Association:
    """Rows with both labels, Pearson's r or Cramér's V, mutual information in bits and by the smaller entropy."""

    rows: int
    correlation: float
    bits: float
    share: float


def associate(one: Labels, other: Labels) -> Association:
    """Return how two columns hang together over the rows that have both labels; NaN where that is not defined."""
    both = (one.codes >= 0) & (other.codes >= 0)
    rows = int(both.sum())
    if not rows:
        return Association(0, float("nan"), float("nan"), float("nan"))
    joint = contingency(one.codes[both], other.codes[both])
    bits = mutual_information(joint)
    smaller = min(entropy(joint.sum(axis=1)), entropy(joint.sum(axis=0)))
    if one.numbers is not None and other.numbers is not None:
        correlation = pearson(one.numbers[both], other.numbers[both])
    else:
        correlation = cramers_v(joint)
    return Association(rows, correlation, bits, bits / smaller if smaller > 0 else float("nan"))


def contingency(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the counts [A, B] of pairs of codes [N]."""
    first, a = np.unique(one, return_inverse=True)
    second, b = np.unique(other, return_inverse=True)
    counts = np.bincount(a * len(second) + b, minlength=len(first) * len(second))
    return counts.reshape(len(first), len(second)).astype(np.float64)


def mutual_information(joint: np.ndarray) -> float:
    """Return Σ p(a,b)·log₂ p(a,b)/(p(a)·p(b)) of counts [A, B]."""
    p = joint / joint.sum()
    independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    there = p > 0
    return max(0.0, float((p[there] * np.log2(p[there] / independent[there])).sum()))


def entropy(counts: np.ndarray) -> float:
    """Return −Σ p·log₂ p of counts."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def pearson(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two columns of numbers; NaN where one is constant."""
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else float("nan")


def cramers_v(joint: np.ndarray) -> float:
    """Return √(χ²/(N·(min(A, B) − 1))) of counts [A, B]: 0 independent, 1 one follows from the other."""
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True) / joint.sum()
    smaller = min(joint.shape) - 1
    if smaller < 1:
        return float("nan")
    return float(np.sqrt(((joint - expected) ** 2 / expected).sum() / (joint.sum() * smaller)))
