import pytest
import torch
from torch.nn import functional as F

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.keypoints import KeypointHead


def test_it_equals_its_layers_written_out():
    features = Features(torch.randn(2, 6, 16, 12))
    head = KeypointHead(8, norm="none").build(FeatureSpec((6, 16, 12), image=(64, 48)), 3)
    out = head(features)
    hidden = torch.relu(F.conv2d(features.values, head.layers[0].weight, head.layers[0].bias, padding=1))
    torch.testing.assert_close(out["heat"], F.conv2d(hidden, head.heat.weight, head.heat.bias))
    pooled = torch.cat([hidden.flatten(2).mean(dim=2), hidden.flatten(2).max(dim=2).values], dim=1)
    torch.testing.assert_close(out["visible"], F.linear(pooled, head.visible.weight, head.visible.bias))
    assert out["stride"].tolist() == [4.0, 4.0]


def test_no_channel_is_refused():
    with pytest.raises(ValueError, match=r"head.hidden is 0; .*Use head.hidden=32"):
        KeypointHead(0)
