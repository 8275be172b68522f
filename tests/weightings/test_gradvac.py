import pytest
import torch

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import jacobian, make


def vaccinate(rows, orders, targets, beta):
    """Algorithm 1 on the gradients themselves; moves the targets [T, T]."""
    total = torch.zeros_like(rows[0])
    for i, order in enumerate(orders):
        turned = rows[i].clone()
        for j in order:
            phi, aim = torch.cosine_similarity(turned, rows[j], dim=0), targets[i, j]
            if phi < aim:
                numerator = turned.norm() * (aim * (1 - phi**2).sqrt() - phi * (1 - aim**2).sqrt())
                turned = turned + numerator / (rows[j].norm() * (1 - aim**2).sqrt()) * rows[j]
            targets[i, j] = (1 - beta) * aim + beta * phi
        total += turned
    return total


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_equals_vaccination_of_the_gradients_over_steps(num_tasks, beta):
    weighting = make("gradvac", num_tasks, beta=beta)
    targets = torch.zeros(num_tasks, num_tasks, dtype=torch.float64)
    for index in range(4):
        weighting.at = (0, index)
        rows = jacobian(num_tasks, index, width=6, spread=10)
        orders = weighting.random_orders(torch.arange(num_tasks))
        wanted = vaccinate(rows, orders, targets, beta)
        assert_close(update_of(weighting, rows), wanted, 1e-6)
        assert torch.allclose(weighting.targets.double(), targets, atol=1e-6)
