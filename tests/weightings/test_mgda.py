import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from tests.weightings._asserts import assert_same_direction, largest_norm, update_of
from tests.weightings._inputs import jacobian, make, positive_losses


def shortest(rows):
    """The point nearest to 0 in the convex hull, by least squares in the rows themselves."""
    scale = np.linalg.norm(rows, axis=1).max()
    system = np.vstack([rows.T / scale, np.ones(len(rows))])
    x, _ = nnls(system, np.append(np.zeros(rows.shape[1]), 1.0))
    return torch.from_numpy(x / x.sum() @ rows)


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_equals_least_squares_in_the_rows(num_tasks, spread):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, width=8, spread=spread)
        got = update_of(make("mgda", num_tasks), rows)
        assert_same_direction(got, shortest(rows.numpy()), largest_norm(rows), 1e-6)


def test_two_tasks_have_the_textbook_weight():
    first, second = rows = jacobian(2, 4)
    weight = ((second - first) @ second / (first - second).square().sum()).clamp(0, 1)
    got = make("mgda", 2).weigh(rows @ rows.T, positive_losses(2), torch.arange(2))
    assert torch.allclose(got, torch.stack([weight, 1 - weight]), atol=1e-9)


def test_normalisations_divide_by_norm_and_loss():
    rows, losses = jacobian(5, 1), positive_losses(5)
    norms = torch.linalg.vector_norm(rows, dim=1)
    for name, divisors in (("l2", norms), ("loss", losses), ("loss+", norms * losses)):
        got = update_of(make("mgda", 5, normalization=name), rows, losses)
        wanted = shortest((rows / divisors[:, None]).numpy()) * divisors.min()
        assert_same_direction(got, wanted, largest_norm(wanted[None]), 1e-6)


def test_opposite_gradients_stop_the_trunk():
    rows = torch.tensor([[1.0, 0.0], [-2.0, 0.0]], dtype=torch.float64)
    assert update_of(make("mgda", 2), rows).abs().max() < 1e-12
