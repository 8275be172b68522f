"""Small quadratic problems over K tasks, solved exactly on the CPU in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mtl_cli.weightings.linalg.jacobian import cosines, row_norms

if TYPE_CHECKING:
    from torchjd.linalg import DualConeProjector

RANK_TOLERANCE = 1e-7
"""Eigenvalues of a Gramian of normalised rows below this part of K are taken for 0: rows are float32, and their cosines
are right to 3e-8 (`jacobian.BLOCK`)."""

LEAST_LEFT = 1e-9
"""Bounds that only a vector of 3e4 times their size could hold are taken to contradict each other."""


def nonnegative_minimizer(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return argmin over x ≥ 0 of ½xᵀ matrix x − vectorᵀx: matrix [K, K] positive semi-definite, vector [K].

    Source: Lawson & Hanson, Solving Least Squares Problems, 1974, chapter 23 (NNLS), on the normal equations.
    Differs from it: a passive set that is rank-deficient is solved in the least-norm sense, and a variable that enters
    without becoming positive is barred until another one does, so that rounding cannot make it cycle; and it starts
    from all variables that grow from 0, where most solutions are a step away.
    """
    return torch.from_numpy(_minimizer(matrix.double().cpu().numpy(), vector.double().cpu().numpy()))


def _minimizer(q: np.ndarray, c: np.ndarray) -> np.ndarray:
    tolerance = 1e-12 * max(np.abs(c).max(initial=0.0), 1e-300)
    passive, barred = c > tolerance, np.zeros(len(c), bool)
    x = np.where(passive, c / np.maximum(q.diagonal(), 1e-300), 0.0)
    if passive.any():  # start from all variables that grow from 0, instead of one by one
        x, passive = _step_back(q, c, x, _solve(q, c, passive), passive)
    for _ in range(10 * len(c) + 10):
        gradient = np.where(passive | barred, -np.inf, c - q @ x)
        entering = int(gradient.argmax())
        if gradient[entering] <= tolerance:
            break
        passive[entering] = True
        z = _solve(q, c, passive)
        if z[entering] <= 0:
            passive[entering], barred[entering] = False, True
            continue
        x, passive = _step_back(q, c, x, z, passive)
        barred[:] = False
    return x


def _step_back(
    q: np.ndarray, c: np.ndarray, x: np.ndarray, z: np.ndarray, passive: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move from x towards z until a variable reaches 0, which then leaves the passive set, until z is feasible."""
    while (negative := passive & (z <= 0)).any():
        steps = np.where(negative, x / np.where(negative, x - z, 1.0), np.inf)
        first = int(steps.argmin())
        x = x + steps[first] * (z - x)
        passive = passive & (x > 0)
        passive[first] = False
        x = np.where(passive, x, 0.0)
        z = _solve(q, c, passive)
    return z, passive


def _solve(q: np.ndarray, c: np.ndarray, passive: np.ndarray) -> np.ndarray:
    z = np.zeros(len(c))
    chosen = np.flatnonzero(passive)
    part = q[np.ix_(chosen, chosen)]
    if not len(chosen):
        return z
    if _well_conditioned(part):
        z[chosen] = np.linalg.solve(part, c[chosen])
    else:
        z[chosen] = np.linalg.lstsq(part, c[chosen], rcond=1e-13)[0]  # five times as slow
    return z


def _well_conditioned(part: np.ndarray) -> bool:
    try:
        pivots = np.linalg.cholesky(part).diagonal()
    except np.linalg.LinAlgError:
        return False
    return bool((pivots**2).min() > 1e-8 * part.diagonal().max())


def min_norm_weights(gramian: Tensor) -> Tensor:
    """Return the convex weights [K] of the shortest vector in the convex hull of rows with this Gramian [K, K].

    By substitution α = y / (norm · Σ y / norm) it is one non-negative least squares problem in the cosines, which keeps
    its precision when norms lie far apart.
    """
    products = gramian.double().cpu().numpy()  # small: a call of torch takes longer than what it computes
    norms = np.sqrt(products.diagonal())
    b = norms.min() / norms
    b = b / np.sqrt(b.dot(b))
    cosine = products / norms[:, None] / norms
    weights = _minimizer(cosine + b[:, None] * b, b) / norms
    return torch.from_numpy(weights / weights.sum())


def least_distance_multipliers(gramian: Tensor, wanted: Tensor) -> Tensor | None:
    """Return the λ ≥ 0 [K] for which u = Σ λⱼaⱼ is the shortest vector with aⱼᵀu ≥ wanted[j]; None if there is none.

    `gramian` [K, K] holds the products of the rows aⱼ, which may be dependent.

    Source: Lawson & Hanson, Solving Least Squares Problems, 1974, chapter 23 (LDP): λ = y / (1 − cᵀy) for the y ≥ 0
    that minimises ‖Aᵀy‖² + (cᵀy − 1)², in unit rows, with the bounds c divided by the largest.
    """
    norms = gramian.diagonal().sqrt()
    bounds = wanted / norms
    scale = bounds.max()
    if scale <= 0:
        return torch.zeros_like(bounds)
    c = bounds / scale
    y = nonnegative_minimizer(cosines(gramian) + torch.outer(c, c), c)
    left = 1 - c @ y
    return None if left <= LEAST_LEFT else y / left * scale / norms


def project_onto_dual_cone(weights: Tensor, gramian: Tensor) -> Tensor:
    """Return v ≥ weights [..., K] that minimise vᵀ gramian v: projections of Σ wᵢgᵢ onto the rows' dual cone.

    Source: Quinton & Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232, Proposition 1; solved
    in the cosines, so that it is exact for rows of any scale.
    """
    norms = gramian.diagonal().sqrt().cpu().numpy()
    cosine = cosines(gramian).cpu().numpy()
    projected = weights.reshape(-1, len(norms)).double().cpu().numpy().copy()
    for row in projected:
        start = row * norms
        scale = np.abs(start).max()
        if scale > 0:
            row += _minimizer(cosine, -cosine @ (start / scale)) * scale / norms
    return torch.from_numpy(projected).view_as(weights)


def dual_cone_projector() -> DualConeProjector:
    """Return the exact projection in the form that torchjd's UPGrad and DualProj take."""
    from torchjd.linalg import DualConeProjector  # torchjd takes a second to import

    class Exact(DualConeProjector):
        def __call__(self, U: Tensor, G: Tensor) -> Tensor:
            return project_onto_dual_cone(U, G)

    return Exact()


def project_onto_simplex(point: Tensor) -> Tensor:
    """Return the nearest point [K] with entries ≥ 0 that sum to 1.

    Source: Held, Wolfe & Crowder, "Validation of subgradient optimization", Mathematical Programming 6, 1974.
    """
    ordered = point.sort(descending=True).values
    ranks = torch.arange(1, len(point) + 1, dtype=point.dtype, device=point.device)
    excess = (ordered.cumsum(0) - 1) / ranks
    last = (ordered > excess).sum(dim=0, keepdim=True).clamp(min=1) - 1  # NaN is greater than nothing
    return (point - excess.gather(0, last)).clamp(min=0)


def rank(gramian: Tensor) -> int:
    """Return the number of independent rows: eigenvalues of the cosines [K, K] above K · RANK_TOLERANCE."""
    values = torch.linalg.eigvalsh(cosines(gramian))
    return int((values > RANK_TOLERANCE * len(gramian)).sum())


def solve_cosines(gramian: Tensor, right: Tensor) -> Tensor:
    """Return the least-norm solution [K] of cosines · x = right [K], where dependent rows count once."""
    values, vectors = torch.linalg.eigh(cosines(gramian))
    inverse = torch.where(values > RANK_TOLERANCE * len(gramian), 1 / values, 0)
    return vectors @ (inverse * (vectors.T @ right))


def bargaining_weights(gramian: Tensor, fairness: float) -> Tensor:
    """Return weights α > 0 [K] with (gramian α)ᵢ = αᵢ^(−1 / fairness), by Newton's method with backtracking.

    They minimise ½αᵀ gramian α − Σ ψ(αᵢ) with ψ' = α^(−1 / fairness), which is convex. In x = norm · α it reads
    cosines x = t x^−p. A ridge of 1e-9 bounds the solution where a convex combination of the rows is 0.
    """
    p = 1.0 / fairness
    norms = row_norms(gramian).cpu().numpy()
    q = cosines(gramian).cpu().numpy() + 1e-9 * np.eye(len(norms))
    t = norms ** (p - 1)
    x = t ** (1 / (1 + p))  # exact for orthogonal rows
    value = _barrier(q, t, p, x)
    for _ in range(200):
        wanted = t * x**-p
        gradient = q @ x - wanted
        if np.abs(gradient / wanted).max() < 1e-11:
            break
        step = -np.linalg.solve(q + np.diag(p * wanted / x), gradient)
        length = 0.95 / max(0.95, float(np.amax(-step / x)))  # stays positive
        slope, new = gradient @ step, _barrier(q, t, p, x + length * step)
        while -slope > 1e-12 * (1 + abs(value)) and new > value + 0.25 * length * slope and length > 1e-9:
            length /= 2  # not near the solution, where the values are all rounding
            new = _barrier(q, t, p, x + length * step)
        x, value = x + length * step, new
    return torch.from_numpy(x / norms)


def _barrier(q: np.ndarray, t: np.ndarray, p: float, x: np.ndarray) -> float:
    integral = np.log(x) if p == 1 else x ** (1 - p) / (1 - p)
    return float(0.5 * x @ q @ x - t @ integral)
