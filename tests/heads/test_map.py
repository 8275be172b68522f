import pytest
import torch
from torch.nn import functional as F

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.map import MapHead


def test_without_hidden_layers_it_is_linear_at_each_position():
    features = Features(torch.randn(2, 6, 5, 4))
    head = MapHead().build(FeatureSpec.of(features), 3)
    weight, bias = head.parameters()
    wanted = torch.einsum("oi,bihw->bohw", weight[:, :, 0, 0], features.values) + bias[:, None, None]
    torch.testing.assert_close(head(features), wanted)


def test_hidden_layers_are_convolutions_with_a_norm():
    features = Features(torch.randn(2, 6, 5, 4))
    head = MapHead([8], activation="tanh").build(FeatureSpec.of(features), 3)
    weight, scale, shift, last, bias = head.parameters()
    hidden = torch.tanh(F.group_norm(F.conv2d(features.values, weight, padding=1), 8, scale, shift))
    torch.testing.assert_close(head(features), F.conv2d(hidden, last, bias))


def test_a_width_below_one_is_refused():
    with pytest.raises(ValueError, match=r"head.hidden is \[4, 0\]"):
        MapHead([4, 0])
