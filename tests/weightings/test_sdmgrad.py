import numpy as np
import pytest
import torch

from tests.weightings._inputs import TinyStep, gradients, jacobian, make, net, positive_losses, task_names
from tests.weightings.test_moco import onto_simplex


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize(("strength", "step_size"), [(0.3, 5.0), (1.0, 0.05)])
def test_equals_projected_descent_with_momentum(num_tasks, strength, step_size):
    weighting = make("sdmgrad", num_tasks, strength=strength, step_size=step_size)
    weighting.weights.copy_(torch.tensor([0.5] + [0.0625] * (num_tasks - 1)))  # exact in float32: large steps amplify
    weights = weighting.weights.double().numpy()
    for step in range(3 if step_size < 1 else 1):
        one, two = jacobian(num_tasks, step), jacobian(num_tasks, step) + 0.3 * jacobian(num_tasks, 50 + step)
        cross = one @ two.T
        matrix = (cross / cross.diagonal().clamp(min=0).sqrt().mean().square()).numpy()
        velocity = np.zeros(num_tasks)
        for _ in range(20):
            velocity = 0.5 * velocity + matrix @ (weights + strength / num_tasks)
            weights = onto_simplex(weights - step_size * velocity)
        got = weighting.weigh(cross, positive_losses(num_tasks), torch.arange(num_tasks))
        assert np.allclose(got.numpy(), (weights + strength / num_tasks) / (1 + strength), atol=1e-6)


def test_the_update_is_that_of_the_whole_batch_under_the_weights():
    plain, model, tasks = net(3), net(3), task_names(3)
    weights = make("sdmgrad", 3).backward(TinyStep(model, tasks, num_draws=2))
    losses = next(TinyStep(plain, tasks).passes()).losses
    sum(float(weights[task]) * losses[task] for task in tasks).backward()
    wanted, got = gradients(plain), gradients(model)
    assert all(torch.allclose(got[name], wanted[name], atol=1e-6) for name in wanted if name.startswith("trunk"))
