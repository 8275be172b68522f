import numpy as np
import pytest
import torch

from tests.weightings._inputs import TinyStep, gradients, jacobian, make, net, positive_losses, task_names
from tests.weightings.test_moco import onto_simplex


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize(("gamma", "rho"), [(0.1, 0.1), (3.0, 0.0)])
def test_equals_double_sampled_descent_over_steps(num_tasks, gamma, rho):
    weighting = make("modo", num_tasks, gamma=gamma, rho=rho)
    weights = np.full(num_tasks, 1 / num_tasks)
    for step in range(5):
        one, two = jacobian(num_tasks, step), jacobian(num_tasks, step) + 0.3 * jacobian(num_tasks, 50 + step)
        cross = one @ two.T
        unit = cross.diagonal().clamp(min=0).sqrt().mean().square()
        weights = onto_simplex(weights - gamma * ((cross / unit).numpy() @ weights + rho * weights))
        got = weighting.weigh(cross, positive_losses(num_tasks), torch.arange(num_tasks))
        assert np.allclose(got.numpy(), weights, atol=1e-6)


def test_the_update_is_that_of_the_whole_batch_under_the_weights():
    plain, model, tasks = net(3), net(3), task_names(3)
    weights = make("modo", 3).backward(TinyStep(model, tasks, num_draws=2))
    losses = next(TinyStep(plain, tasks).passes()).losses
    sum(losses.values()).backward(inputs=[*plain.heads.parameters()], retain_graph=True)
    sum(float(weights[task]) * loss for task, loss in losses.items()).backward(inputs=[*plain.trunk.parameters()])
    wanted, got = gradients(plain), gradients(model)
    assert all(torch.allclose(got[name], wanted[name], atol=1e-6) for name in wanted)
