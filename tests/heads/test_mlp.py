import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.mlp import MLPHead

FEATURES = {
    "vector": Features(torch.randn(4, 6)),
    "sequence": Features(torch.randn(4, 5, 6), torch.rand(4, 5) > 0.4),
    "map": Features(torch.randn(4, 6, 3, 2)),
}


@pytest.mark.parametrize("kind", FEATURES)
def test_a_linear_head_is_one_linear_map_of_the_pooled_features(kind):
    features = FEATURES[kind]
    head = MLPHead().build(FeatureSpec.of(features), 3)
    (weight, bias) = head.parameters()
    assert weight.shape == (3, 6)
    torch.testing.assert_close(head(features), pool(features) @ weight.T + bias)


def test_hidden_layers_equal_a_written_out_network():
    head = MLPHead(hidden=[5, 4], activation="tanh").build(FeatureSpec((6,)), 2)
    w1, b1, w2, b2, w3, b3 = head.parameters()
    x = FEATURES["vector"].values
    expected = F.linear(torch.tanh(F.linear(torch.tanh(F.linear(x, w1, b1)), w2, b2)), w3, b3)
    torch.testing.assert_close(head(Features(x)), expected)


def test_dropout_acts_after_each_hidden_layer_in_training_only():
    head = MLPHead(hidden=[400, 300], dropout=0.5).build(FeatureSpec((6,)), 2)
    assert [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    features = FEATURES["vector"]
    assert not torch.equal(head(features), head(features))
    head.eval()
    assert torch.equal(head(features), head(features))
    assert not [
        layer for layer in MLPHead(hidden=[3]).build(FeatureSpec((6,)), 2).modules() if isinstance(layer, nn.Dropout)
    ]


def test_the_initialisation_reaches_every_layer():
    head = MLPHead(hidden=[6], init="orthogonal").build(FeatureSpec((6,)), 6)
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            torch.testing.assert_close(layer.weight @ layer.weight.T, torch.eye(6), atol=1e-5, rtol=0)
            assert torch.equal(layer.bias, torch.zeros(6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": [4, 0]}, r"head\.hidden is \[4, 0\]"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"activation": "rleu"}, "Did you mean 'relu'"),
        ({"init": "kaimingnormal"}, "Did you mean 'kaiming_normal'"),
    ],
)
def test_values_out_of_range_are_refused_before_anything_is_built(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLPHead(**arguments)
