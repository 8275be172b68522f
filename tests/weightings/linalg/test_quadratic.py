import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from mtl_cli.weightings.linalg.quadratic import (
    bargaining_weights,
    min_norm_weights,
    nonnegative_minimizer,
    project_onto_dual_cone,
    project_onto_simplex,
    rank,
    solve_cosines,
)


@pytest.mark.parametrize("size", [1, 2, 5, 12, 32])
@pytest.mark.parametrize("width", [3, 40])
def test_minimisers_equal_least_squares(size, width):
    for seed in range(5):
        stream = torch.Generator().manual_seed(seed)
        rows = torch.randn(size, width, dtype=torch.float64, generator=stream)
        target = torch.randn(width, dtype=torch.float64, generator=stream)
        wanted, _ = nnls(rows.T.numpy(), target.numpy())
        got = nonnegative_minimizer(rows @ rows.T, rows @ target)
        assert got.min() >= 0
        assert torch.allclose(got @ rows, torch.from_numpy(wanted) @ rows, atol=1e-7)


def test_a_minimiser_at_zero_is_found():
    assert nonnegative_minimizer(torch.eye(3), -torch.ones(3)).abs().max() == 0


def test_rank_deficient_problems_satisfy_the_optimality_conditions():
    for seed in range(50):
        stream = torch.Generator().manual_seed(seed)
        rows = torch.randn(8, 3, dtype=torch.float64, generator=stream)
        rows = torch.cat([rows, -rows[:2], rows[:2]])
        gram = rows @ rows.T
        x = nonnegative_minimizer(gram, gram @ torch.randn(12, dtype=torch.float64, generator=stream))
        assert x.isfinite().all()
    for case in (torch.ones(4, 4), torch.zeros(4, 4), torch.tensor([[1.0, -1.0], [-1.0, 1.0]])):
        assert nonnegative_minimizer(case, torch.ones(len(case))).isfinite().all()


def test_the_shortest_vector_is_at_least_as_near_to_every_row():
    for seed in range(30):
        rows = torch.randn(10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.7
        weights = min_norm_weights(rows @ rows.T)
        point = weights @ rows
        assert torch.isclose(weights.sum(), torch.tensor(1.0, dtype=torch.float64))
        assert (rows @ point >= point @ point - 1e-9).all()


def test_a_projection_is_in_the_cone_and_orthogonal_to_what_was_taken():
    for seed in range(30):
        rows = torch.randn(10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        start = torch.full((10,), 0.1, dtype=torch.float64)
        weights = project_onto_dual_cone(start, rows @ rows.T)
        point = weights @ rows
        assert (rows @ point).min() > -1e-9
        assert abs((point - start @ rows) @ point) < 1e-9


def test_the_simplex_projection_satisfies_the_optimality_conditions():
    for size in (1, 2, 7):
        point = torch.randn(size, dtype=torch.float64)
        nearest = project_onto_simplex(point)
        assert torch.isclose(nearest.sum(), torch.tensor(1.0, dtype=torch.float64))
        shifts = (point - nearest)[nearest > 0]
        assert torch.allclose(shifts, shifts[0].expand_as(shifts))
        assert (point - shifts[0])[nearest == 0].le(1e-12).all()


@pytest.mark.parametrize("fairness", [0.5, 1.0, 3.0, 100.0])
def test_bargaining_weights_solve_their_equation(fairness):
    for size in (2, 5, 12, 32):
        rows = torch.randn(size, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
        gram = rows @ rows.T / 60
        weights = bargaining_weights(gram, fairness)
        residual = (gram @ weights).log() + weights.log() / fairness
        assert weights.min() > 0
        assert residual.abs().max() < 1e-6, (size, residual)


def test_bargaining_weights_stay_bounded_without_a_solution():
    gram = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    assert bargaining_weights(gram, 1.0).max() < 1e6


def test_dependent_rows_count_once():
    rows = torch.randn(3, 9, dtype=torch.float64)
    rows = torch.cat([rows, 2 * rows[:1], -rows[1:2]])
    gram = rows @ rows.T
    assert rank(gram) == 3
    units = (rows / rows.norm(dim=1, keepdim=True)).numpy()
    wanted = np.linalg.pinv(units @ units.T, rcond=1e-9) @ np.ones(5)
    assert np.allclose(solve_cosines(gram, torch.ones(5, dtype=torch.float64)).numpy(), wanted)
