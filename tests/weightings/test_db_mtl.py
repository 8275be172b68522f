import pytest
import torch

from tests.weightings._asserts import assert_close
from tests.weightings._inputs import TinyStep, gradients, jacobian, make, net, positive_losses, task_names


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("beta_sigma", [0.0, 0.5])
def test_equals_algorithm_1_over_steps(num_tasks, beta_sigma):
    weighting = make("db_mtl", num_tasks, beta=0.9, beta_sigma=beta_sigma)
    averages = torch.zeros(num_tasks, 30, dtype=torch.float64)
    for step in range(1, 5):
        rows, losses = jacobian(num_tasks, step), positive_losses(num_tasks, step)
        of_logs = rows / (losses + 1e-8)[:, None]
        beta = 0.9 / step**beta_sigma
        averages = beta * averages + (1 - beta) * of_logs
        norms = averages.norm(dim=1)
        wanted = (norms.max() / norms) @ averages
        assert_close(weighting(rows, losses, torch.arange(num_tasks)), wanted, 1e-6)


def test_heads_get_the_gradient_of_the_logarithm():
    plain, model, tasks = net(3), net(3), task_names(3)
    make("db_mtl", 3).backward(TinyStep(model, tasks, num_passes=2))
    sum(torch.log(loss + 1e-8) for loss in next(TinyStep(plain, tasks).passes()).losses.values()).backward()
    wanted, got = gradients(plain), gradients(model)
    assert all(torch.allclose(got[name], wanted[name], atol=1e-6) for name in wanted if name.startswith("heads"))
