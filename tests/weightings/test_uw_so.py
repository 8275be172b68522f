import numpy as np
import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_weights_are_the_softmax_of_the_inverse_losses(num_tasks, temperature):
    losses = positive_losses(num_tasks)
    weights = np.exp(1 / losses.numpy() / temperature)
    weights /= weights.sum()
    leaf = losses.requires_grad_()
    total = make("uw_so", num_tasks, temperature=temperature)(leaf, torch.arange(num_tasks))
    assert abs(total.item() - weights @ losses.detach().numpy()) < 1e-12
    (grad,) = torch.autograd.grad(total, leaf)  # no gradient flows through the weights
    assert np.allclose(grad.numpy(), weights)


def test_a_high_temperature_makes_all_weights_equal():
    losses = torch.tensor([0.1, 1.0, 7.0])
    total = make("uw_so", 3, temperature=1e6)(losses, torch.arange(3))
    assert torch.allclose(total, losses.mean(), rtol=1e-4)
