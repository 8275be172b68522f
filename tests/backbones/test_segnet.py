import pytest
import torch
from torch.nn import functional as F

from mtl_cli.backbones.segnet import SegNet, unpooled
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages
from tests.backbones._inputs import factory


def segnet(**changes):
    arguments = {"channels": [4, 6, 8], "convs": 2, "norm": "none", "activation": "silu", "init": "default"}
    return SegNet(**{**arguments, **changes})


def made(backbone, shape=(2, 12, 8)):
    return factory(backbone, {"a": InputSpec("image", shape)})


def test_it_equals_a_written_out_network():
    stages = made(segnet())().eval()
    parameters = iter(stages.parameters())

    def convs(x):
        for _ in range(2):
            x = F.silu(F.conv2d(x, next(parameters), next(parameters), padding=1))
        return x

    images = torch.randn(3, 2, 12, 8)
    one = convs(images)
    pooled, places_one = F.max_pool2d(one, 2, return_indices=True)
    two = convs(pooled)
    pooled, places_two = F.max_pool2d(two, 2, return_indices=True)
    out = convs(convs(pooled))
    assert out.shape == (3, 6, 3, 2)
    out = convs(F.max_unpool2d(out, places_two, 2))
    out = convs(F.max_unpool2d(out, places_one, 2))
    assert not list(parameters)
    torch.testing.assert_close(run_stages(stages, Inputs(images, "a")).values, out)


def test_stages_are_named_and_the_map_has_the_size_of_the_image():
    backbone = made(segnet())
    assert backbone.names == ["stem", "enc1", "enc2", "enc3", "dec3", "dec2", "dec1"]
    assert backbone.specs[-1].shape == (4, 12, 8)
    assert [len(spec.skips) for spec in backbone.specs] == [0, 0, 1, 2, 2, 1, 0]


@pytest.mark.parametrize("size", [(1, 1), (7, 2), (5, 31)])
def test_images_of_any_size_keep_it(size):
    stages = made(segnet(norm="group"))().eval()
    assert run_stages(stages, Inputs(torch.randn(2, 2, *size), "a")).values.shape == (2, 4, *size)


def test_values_go_to_the_places_of_the_maxima_and_these_have_no_gradient():
    kept = torch.randn(1, 2, 5, 4, requires_grad=True)
    values = torch.randn(1, 2, 3, 2, requires_grad=True)
    out = unpooled(values, kept)
    for c in range(2):
        for y in range(3):
            for x in range(2):
                window = (0, c, slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))
                most = kept[window] == kept[window].max()
                assert out[window][most].tolist() == [values[0, c, y, x].item()]
                assert not out[window][~most].any()
    out.sum().backward()
    assert not kept.grad.any()
    assert torch.equal(values.grad, torch.ones_like(values))


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"backbone.convs 0; .*Use backbone.channels=\[16,32"):
        segnet(convs=0)
