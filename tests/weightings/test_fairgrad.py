import pytest

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import jacobian, make
from tests.weightings.test_nash_mtl import fair_weights


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_solves_the_fairness_equation(num_tasks, alpha):
    for seed in range(2):
        rows = jacobian(num_tasks, seed, spread=10)
        wanted = fair_weights(rows.numpy(), 1 / alpha) @ rows
        assert_close(update_of(make("fairgrad", num_tasks, alpha=alpha), rows), wanted, 1e-4)


def test_alpha_one_is_nash_bargaining():
    rows = jacobian(5)
    assert_close(update_of(make("fairgrad", 5, alpha=1.0), rows), update_of(make("nash_mtl", 5), rows), 1e-12)
