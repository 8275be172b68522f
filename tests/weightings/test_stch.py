import numpy as np
import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("mu", [0.1, 1.0])
def test_equals_the_smooth_maximum_after_the_warm_up(num_tasks, mu):
    weighting, present = make("stch", num_tasks, mu=mu, warmup_epochs=2), torch.arange(num_tasks)
    for epoch in range(4):
        seen = [positive_losses(num_tasks, 10 * epoch + step) for step in range(3)]
        if epoch == 1:
            nadir = torch.stack(seen).mean(dim=0).numpy()
        for losses in seen:
            values = losses.numpy()
            wanted = np.log(values).sum()
            if epoch >= 2:
                wanted = num_tasks * mu * np.log(np.exp(np.log(values / nadir) / mu).sum())
            assert abs(weighting(losses, present).item() - wanted) < 1e-5
            weighting.observe(losses, present)
        weighting.after_epoch()


def test_a_small_mu_follows_the_worst_task():
    weighting = make("stch", 3, mu=0.01, warmup_epochs=1)
    weighting.observe(torch.ones(3), torch.arange(3))
    weighting.after_epoch()
    losses = torch.tensor([0.5, 0.9, 0.7], requires_grad=True)
    (grad,) = torch.autograd.grad(weighting(losses, torch.arange(3)), losses)
    assert grad[1] > 1e3 * grad[[0, 2]].max()
