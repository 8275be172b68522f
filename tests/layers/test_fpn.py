import torch
from torch.nn import functional as F

from mtl_cli.layers.fpn import FeaturePyramid


def grown(values, like):
    return F.interpolate(values, like.shape[2:], mode="bilinear", align_corners=False)


def test_it_equals_the_pyramid_written_out():
    fine, middle, coarse = torch.randn(2, 4, 9, 8), torch.randn(2, 6, 5, 4), torch.randn(2, 8, 3, 2)
    pyramid = FeaturePyramid([4, 6, 8], 16)
    one, two, three = (layer(each) for layer, each in zip(pyramid.lateral, (fine, middle, coarse), strict=True))
    two = two + grown(three, two)
    one = one + grown(two, one)
    parts = [
        F.relu(F.group_norm(F.conv2d(level, layer[0].weight, padding=1), 8, layer[1].weight, layer[1].bias))
        for level, layer in zip((one, two, three), pyramid.smooth, strict=True)
    ]
    out = pyramid(coarse, (fine, middle))
    torch.testing.assert_close(out.values, parts[0] + grown(parts[1], fine) + grown(parts[2], fine))
    assert out.skips == ()
