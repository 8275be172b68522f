import pytest

from tests.weightings._asserts import assert_same_direction, largest_norm, update_of
from tests.weightings._inputs import jacobian, make
from tests.weightings._projections import onto_dual_cone


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_equals_the_projection_of_the_mean_gradient(num_tasks, spread):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, width=6, spread=spread)
        wanted = onto_dual_cone(rows.mean(dim=0).numpy(), rows.numpy())
        assert_same_direction(update_of(make("dual_proj", num_tasks), rows), wanted, largest_norm(rows), 1e-6)
