"""Tests of mtl_cli/layers/named.py; tests/test_layers.py holds the architecture's layers."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_cli.layers.named import (
    ACTIVATIONS,
    INITIALISATIONS,
    activation,
    check_names,
    checked_dropout,
    initialise,
    norm2d,
)

FUNCTIONS = {
    "relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu, "gelu": F.gelu, "silu": F.silu, "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_the_functions_of_their_names(name):
    x = torch.linspace(-3, 3, 50)
    assert torch.equal(activation(name)(x), FUNCTIONS[name](x))
    assert activation(name) is not activation(name)


def network():
    return nn.Sequential(
        nn.Conv2d(8, 64, 3), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(400, 200), nn.Linear(200, 9, bias=False)
    )


@pytest.mark.parametrize("name", [name for name in INITIALISATIONS if name != "default"])
def test_initialisations_have_the_spread_of_their_papers_and_no_bias(name):
    model = network()
    initialise(model, name)
    conv, linear = model[0], model[3]
    for layer, fan_in, fan_out in ((conv, 8 * 9, 64 * 9), (linear, 400, 200)):
        weight = layer.weight.detach()
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias))
        if name == "orthogonal":
            rows = weight.flatten(1)
            torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-4, rtol=0)
            continue
        variance = 2 / fan_in if name.startswith("kaiming") else 2 / (fan_in + fan_out)
        assert weight.var().item() == pytest.approx(variance, rel=0.05)
        if name.endswith("uniform"):
            assert weight.abs().max().item() <= math.sqrt(3 * variance) * (1 + 1e-6)
        else:
            assert weight.abs().max().item() > math.sqrt(3 * variance)
    assert torch.equal(model[1].weight, torch.ones(64))


def test_the_default_initialisation_is_torchs_own():
    torch.manual_seed(3)
    expected = network().state_dict()
    torch.manual_seed(3)
    model = network()
    initialise(model, "default")
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_normalisations_for_maps():
    x = 5 + 3 * torch.randn(4, 16, 6, 6)
    assert torch.equal(norm2d("none", 16)(x), x)
    torch.testing.assert_close(norm2d("batch", 16)(x), F.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(norm2d("group", 16)(x), F.group_norm(x, 8))
    torch.testing.assert_close(norm2d("group", 6)(x[:, :6]), F.group_norm(x[:, :6], 1))


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: activation("rleu"), "activation 'rleu'. Did you mean 'relu'?"),
        (lambda: initialise(nn.Linear(1, 1), "ortogonal"), "initialisation 'ortogonal'. Did you mean 'orthogonal'?"),
        (lambda: norm2d("bacth", 3), "normalisation 'bacth'. Did you mean 'batch'?"),
        (lambda: check_names(activation="x"), "Known: relu, leaky_relu, elu, gelu, silu, tanh, sigmoid."),
        (lambda: check_names(norm="layer"), "Known: batch, group, none."),
        (lambda: check_names(init="zeros"), "Known: default, kaiming_uniform"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_and_all_known_ones(call, hint):
    with pytest.raises(ValueError, match="There is no") as caught:
        call()
    assert hint in str(caught.value)


def test_dropout_is_a_probability_below_one():
    assert [checked_dropout(value) for value in (0.0, 0.5, 0.99)] == [0.0, 0.5, 0.99]
    for value in (-0.1, 1.0, 2, math.nan):
        with pytest.raises(ValueError, match="probability"):
            checked_dropout(value)
