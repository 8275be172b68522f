import pytest
import torch

from tests.weightings._asserts import assert_same_direction, largest_norm, update_of
from tests.weightings._inputs import jacobian, make
from tests.weightings._projections import onto_dual_cone


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_equals_the_mean_of_projections_of_the_gradients(num_tasks, spread):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, width=6, spread=spread)
        wanted = torch.stack([onto_dual_cone(row, rows.numpy()) for row in rows.numpy()]).mean(dim=0)
        assert_same_direction(update_of(make("upgrad", num_tasks), rows), wanted, largest_norm(rows), 1e-6)


def test_the_example_of_the_paper_s_library():
    rows = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], dtype=torch.float64)
    wanted = torch.tensor([0.2929, 1.9004, 1.9004], dtype=torch.float64)
    assert torch.allclose(update_of(make("upgrad", 2), rows), wanted, atol=5e-4)
