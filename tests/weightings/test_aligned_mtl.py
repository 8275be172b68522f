import numpy as np
import pytest
import torch

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import jacobian, make


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
def test_equals_the_mean_gradient_with_all_singular_values_the_same(num_tasks, scale):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, spread=10)
        left, values, right = np.linalg.svd(rows.numpy(), full_matrices=False)
        squares = np.sort(values**2)
        chosen = {"min": squares[0], "median": squares[(num_tasks - 1) // 2], "rmse": squares.mean()}[scale]
        aligned = np.sqrt(chosen) * left @ right
        got = update_of(make("aligned_mtl", num_tasks, scale=scale), rows)
        assert_close(got, torch.from_numpy(aligned.mean(axis=0)), 1e-6)


def test_a_duplicate_does_not_collapse_the_update():
    rows = jacobian(3)
    got = update_of(make("aligned_mtl", 4), torch.cat([rows, rows[:1]]))
    assert got.norm() > 0.1 * torch.linalg.vector_norm(rows, dim=1).min()
