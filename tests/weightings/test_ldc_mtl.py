import numpy as np
import pytest
import torch

from tests.weightings._inputs import make, positive_losses


def formula(losses, first, logits, strength):
    normalized = losses / (first / first.min())
    weights = np.exp(logits) / np.exp(logits).sum()
    total = (weights * normalized).sum()
    for index in range(len(losses) - 1):
        total += strength * abs(weights[index] * normalized[index] - weights[index + 1] * normalized[index + 1])
    return total


@pytest.mark.parametrize("num_tasks", [2, 5, 9])
def test_equals_the_formula(num_tasks):
    weighting, present = make("ldc_mtl", num_tasks, strength=0.2), torch.arange(num_tasks)
    first = positive_losses(num_tasks, 1)
    assert abs(weighting(first, present).item() - first.min()) < 1e-6, "all losses start equal to the least"
    weighting.observe(first, present)
    logits = np.linspace(-1, 1, num_tasks)
    weighting.logits.data.copy_(torch.from_numpy(logits))
    for step in range(2, 5):
        losses = positive_losses(num_tasks, step)
        wanted = formula(losses.numpy(), first.numpy(), logits, 0.2)
        assert abs(weighting(losses, present).item() - wanted) < 1e-6
        weighting.observe(losses, present)


def test_weights_of_losses_stay_positive():
    weighting, present = make("ldc_mtl", 7, strength=0.49), torch.arange(7)
    for seed in range(20):
        losses = positive_losses(7, seed).float().requires_grad_()
        (grad,) = torch.autograd.grad(weighting(losses, present), losses)
        assert grad.min() > 0


def test_a_first_loss_of_0_does_not_stop_the_others():
    weighting, present = make("ldc_mtl", 3), torch.arange(3)
    weighting.observe(torch.tensor([0.0, 2.0, 1.0]), present)
    losses = torch.tensor([0.5, 2.0, 1.0], requires_grad=True)
    (grad,) = torch.autograd.grad(weighting(losses, present), losses)
    assert grad.min() > 0.05
