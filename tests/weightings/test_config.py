import numpy as np
import pytest
import torch

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import jacobian, make


def conflict_free(rows):
    """Equation 2 on the gradients: the pseudo-inverse of unit gradients times 1, as long as all projections onto it."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    direction = np.linalg.pinv(units) @ np.ones(len(rows))
    direction /= np.linalg.norm(direction)
    return torch.from_numpy((rows @ direction).sum() * direction)


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_pseudo_inverse_of_unit_gradients(num_tasks):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, spread=1e4)
        assert_close(update_of(make("config", num_tasks), rows), conflict_free(rows.numpy()), 1e-6)


def test_cosines_with_all_gradients_are_equal():
    rows = jacobian(5)
    update = update_of(make("config", 5), rows)
    cosines = torch.nn.functional.cosine_similarity(rows, update[None])
    assert torch.allclose(cosines, cosines[0].expand(5))
