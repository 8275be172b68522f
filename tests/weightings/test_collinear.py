"""Gradients that depend on each other: every solver finds a direction, and the safe ones work against no task."""

import numpy as np
import pytest
import torch

from mtl_cli.weightings.linalg.jacobian import EXACT, gramian, gramian_to_solve
from tests.weightings._inputs import make, positive_losses

METHODS = [("mgda", "none"), ("mgda", "l2"), ("upgrad", None), ("dual_proj", None)]
LIMIT = 1e-7
"""Of −gᵢ·d in parts of ‖gᵢ‖ and of the larger of ‖d‖ and the longest gradient."""


def collinear(case):
    """Rows [K, P] of float32 that are multiples or combinations of each other, exactly, by rounding or nearly."""
    draws = np.random.default_rng(case)
    num_tasks = int(draws.choice([2, 3, 6, 10, 12]))
    width = 200_000 if case % 100 == 0 else int(draws.choice([10, 100, 1000, 3000, 20_000]))
    one, signs = draws.normal(size=width), draws.choice([-1, 1], size=(num_tasks, 1))
    several = draws.normal(size=(num_tasks, width))
    rows = [
        one + 0 * several,
        signs * one,
        one + 10 ** draws.uniform(-9, -2) * several,
        draws.normal(size=(num_tasks, num_tasks // 2)) @ several[: num_tasks // 2],
        signs * several[draws.integers(0, num_tasks, size=num_tasks)],
    ][case % 5]
    return torch.from_numpy((10 ** draws.uniform(-3, 3, size=(num_tasks, 1)) * rows).astype(np.float32))


@pytest.mark.parametrize("part", [0, *[pytest.param(part, marks=pytest.mark.slow) for part in range(1, 8)]])
def test_collinear_gradients_are_solved_without_a_conflict(part):
    for case in range(200 * part, 200 * part + 200):
        rows = collinear(case)
        gram, exact = gramian_to_solve(rows), rows.double()
        norms = torch.linalg.vector_norm(exact, dim=1)
        assert torch.equal(gram, gram.T)
        for method, normalization in METHODS:
            weighting = make(method, len(rows), **({"normalization": normalization} if normalization else {}))
            update = weighting.weigh(gram, positive_losses(len(rows)), torch.arange(len(rows))) @ exact
            products = exact @ update / norms / max(norms.max(), update.norm())
            assert products.min() >= -LIMIT, f"{method}, case {case}: {products.min():.1e}"


@pytest.mark.parametrize("num_tasks", [2, 3, 6, 10, 12])
@pytest.mark.parametrize("width", [7, 1000, 30_011])
def test_a_gramian_is_symmetric_and_right(num_tasks, width):
    rows = torch.randn(num_tasks, width, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([rows, 0.1 * torch.ones(1, width), 3 * rows[:1]])
    exact = rows.double() @ rows.double().T
    norms = exact.diagonal().sqrt()
    found = gramian(rows)
    assert torch.equal(found, found.T)
    error = ((found - exact) / torch.outer(norms, norms)).abs().max()
    assert error <= (1e-14 if rows.numel() <= EXACT else 1e-6)
    assert ((found - exact)[:-2, :-2] / torch.outer(norms, norms)[:-2, :-2]).abs().max() <= 1e-7
