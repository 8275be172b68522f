import numpy as np
import pytest
import torch

from tests.weightings._asserts import assert_close, update_of
from tests.weightings._inputs import TinyStep, gradients, jacobian, make, net, positive_losses, task_names


def impartial(rows):
    """Equation 5: α₂..ₜ = g₁Uᵀ(DUᵀ)⁻¹ with D = g₁ − gᵢ and U the same for unit gradients."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    d, u = rows[:1] - rows[1:], units[:1] - units[1:]
    rest = rows[0] @ u.T @ np.linalg.inv(d @ u.T)
    return torch.from_numpy(np.append(1 - rest.sum(), rest) @ rows)


@pytest.mark.parametrize("num_tasks", [2, 5, 12])
def test_equals_the_closed_form(num_tasks):
    for seed in range(3):
        rows = jacobian(num_tasks, seed, spread=10)
        assert_close(update_of(make("imtl", num_tasks, balance="gradients"), rows), impartial(rows.numpy()), 1e-6)


def test_balanced_losses_scale_gradients_first():
    rows, losses = jacobian(5, 2), positive_losses(5)
    weighting = make("imtl", 5)
    assert weighting.log_scales is not None, "the default balances losses and gradients, as the paper does"
    scales = torch.linspace(-1, 1, 5)
    weighting.log_scales.data.copy_(scales)
    wanted = impartial((rows * scales.exp()[:, None]).numpy())
    assert_close(update_of(weighting, rows, losses), wanted, 1e-6)


def test_scales_learn_as_in_imtl_l_and_heads_are_scaled():
    for num_passes in (1, 2):
        plain, model = net(3), net(3)
        own, both = make("imtl_l", 3), make("imtl", 3)
        for weighting in (own, both):
            (own.log_scales if weighting is own else both.log_scales).data.copy_(torch.tensor([-1.0, 0.0, 1.0]))
        step = TinyStep(model, task_names(3)[1:], num_passes=num_passes)
        own.backward(TinyStep(plain, task_names(3)[1:], num_passes=num_passes))
        both.backward(step)
        assert torch.allclose(both.log_scales.grad, own.log_scales.grad, atol=1e-6)
        assert both.log_scales.grad[0] == 0
        wanted, got = gradients(plain), gradients(model)
        assert all(torch.allclose(got[name], wanted[name], atol=1e-6) for name in wanted if name.startswith("heads"))
