import pytest
import torch

from tests.weightings._inputs import make, positive_losses


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_logarithm_of_the_product(num_tasks):
    losses = positive_losses(num_tasks)
    total = make("scale_invariant", num_tasks)(losses, torch.arange(num_tasks))
    assert torch.allclose(total, losses.prod().log(), rtol=1e-9)


def test_the_gradient_does_not_depend_on_a_loss_s_scale():
    values = torch.tensor([2.0, 3.0], requires_grad=True)
    weighting = make("scale_invariant", 2)
    (one,) = torch.autograd.grad(weighting(values, torch.arange(2)), values)
    (other,) = torch.autograd.grad(weighting(values * torch.tensor([100.0, 0.01]), torch.arange(2)), values)
    assert torch.allclose(one, other)
