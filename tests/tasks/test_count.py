import numpy as np
import pytest
import torch
from scipy.special import xlogy
from scipy.stats import poisson

from mtl_cli.tasks.count import LIMIT
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make, targets, with_missing


def test_the_loss_is_the_poisson_likelihood_over_the_mean_but_for_a_constant():
    """−log P(y | μ) = μ − y·log μ + log y!, with μ = 4·exp(output); the loss is (μ − y·output)/4."""
    target, outputs = with_missing(targets("count")), torch.randn(40, 1)
    y, out = target.double().numpy(), outputs.double().numpy()[:, 0]
    out, y = out[~np.isnan(y)], y[~np.isnan(y)]
    at_mean = poisson.logpmf(y, 4.0).mean()
    likelihood = poisson.logpmf(y, 4.0 * np.exp(out)).mean()
    expected = (at_mean - likelihood) / 4.0 + 1.0  # at output 0 the loss is 4/4
    assert make("count").loss(outputs, target).item() == pytest.approx(expected, rel=1e-5)


def test_deviance_and_mae_are_in_counts_by_hand():
    rates, target = np.array([1.0, 2.0, 4.0]), torch.tensor([0.0, 3.0, 4.0])
    meter = Meter(make("count"), torch.device("cpu"))
    meter.update(torch.tensor(np.log(rates / 4.0), dtype=torch.float32)[:, None], target, 3)
    y = target.double().numpy()
    metrics = meter.result().metrics
    assert metrics["deviance"] == pytest.approx(np.mean(2 * (xlogy(y, y / rates) - y + rates)), rel=1e-5)
    assert metrics["mae"] == pytest.approx((1 + 1 + 0) / 3, rel=1e-5)


def test_beyond_the_limit_loss_and_gradient_stay_finite_and_monotone():
    outputs = torch.tensor([[LIMIT], [LIMIT + 1], [500.0]], requires_grad=True)
    losses = torch.stack([make("count").loss(row[None], torch.ones(1)) for row in outputs])
    assert (losses[1:] > losses[:-1]).all()
    losses.sum().backward()
    assert outputs.grad.isfinite().all()
    assert (make("count").predictions(torch.tensor([[1e4], [-1e4]])) > 0).all()
