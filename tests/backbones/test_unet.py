import pytest
import torch
from torch.nn import functional as F

from mtl_cli.backbones.unet import UNet
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages
from tests.backbones._inputs import factory


def unet(**changes):
    arguments = {"channels": [4, 6, 8], "norm": "none", "activation": "silu", "dropout": 0.0, "init": "default"}
    return UNet(**{**arguments, **changes})


def made(backbone, shape=(2, 13, 10)):
    return factory(backbone, {"a": InputSpec("image", shape)})


def test_it_equals_a_written_out_network():
    stages = made(unet())().eval()
    parameters = iter(stages.parameters())

    def convs(x):
        for _ in range(2):
            x = F.silu(F.conv2d(x, next(parameters), next(parameters), padding=1))
        return x

    def grown(x, like):
        return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)

    def halved(x):
        odd = (x.shape[3] % 2, x.shape[2] % 2)
        return F.max_pool2d(F.pad(x, (0, odd[0], 0, odd[1]), value=-torch.inf), 2)

    images = torch.randn(3, 2, 13, 10)
    one = convs(images)
    two = convs(halved(one))
    three = convs(halved(two))
    assert three.shape == (3, 8, 4, 3)
    out = convs(torch.cat([two, grown(three, two)], dim=1))
    out = convs(torch.cat([one, grown(out, one)], dim=1))
    assert not list(parameters)
    torch.testing.assert_close(run_stages(stages, Inputs(images, "a")).values, out)


def test_stages_are_named_by_their_level_and_use_up_every_skip():
    backbone = made(unet())
    assert backbone.names == ["stem", "enc1", "enc2", "enc3", "dec2", "dec1"]
    assert [spec.shape for spec in backbone.specs[1:]] == [(4, 13, 10), (6, 7, 5), (8, 4, 3), (6, 7, 5), (4, 13, 10)]
    assert [len(spec.skips) for spec in backbone.specs] == [0, 0, 1, 2, 1, 0]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (16, 16), (5, 31)])
def test_images_of_any_size_keep_it(size):
    stages = made(unet(norm="group"))().eval()
    out = run_stages(stages, Inputs(torch.randn(2, 2, *size), "a"))
    assert out.values.shape == (2, 4, *size)
    assert out.values.isfinite().all()


def test_what_one_image_gives_does_not_depend_on_the_batch():
    stages = made(unet(norm="group"))().train()
    images = torch.randn(3, 2, 13, 10)
    whole = run_stages(stages, Inputs(images, "a")).values
    torch.testing.assert_close(run_stages(stages, Inputs(images[:1], "a")).values, whole[:1])


def test_dropout_is_of_whole_channels_at_the_coarsest_level():
    stages = made(unet(dropout=0.5))().train()
    [coarsest] = [stage for stage in stages if any(isinstance(layer, torch.nn.Dropout2d) for layer in stage.modules())]
    assert coarsest is stages[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": [8]}, r"backbone.channels is \[8\]; give a number ≥ 1 for each of at least two levels"),
        ({"channels": [8, 0]}, "number ≥ 1"),
        ({"dropout": 1.0}, "probability"),
        ({"norm": "grup"}, "'group'"),
        ({"activation": "rleu"}, "'relu'"),
    ],
)
def test_values_out_of_range_are_refused_before_data_is_read(arguments, message):
    with pytest.raises(ValueError, match=message):
        unet(**arguments)


@pytest.mark.parametrize("size", [(64, 96), (61, 90)])
def test_a_stride_gives_a_map_that_is_as_much_smaller(size):
    found = run_stages(made(unet(stride=4), (3, *size))(), Inputs(torch.randn(2, 3, *size), "a"))
    assert found.values.shape == (2, 4, -(-size[0] // 4), -(-size[1] // 4))
    assert made(unet(stride=4), (3, *size)).specs[-1].shape == found.values.shape[1:]


@pytest.mark.parametrize("stride", [0, 3, -4])
def test_strides_are_powers_of_two(stride):
    with pytest.raises(ValueError, match=rf"backbone.stride is {stride}.*backbone.stride=1"):
        unet(stride=stride)


@pytest.mark.parametrize(("norm", "last"), [("group", False), ("none", True)])
def test_channels_are_last_in_memory_unless_a_group_norm_loses_by_it(norm, last):
    stages = made(unet(norm=norm))()
    found = stages[0](Inputs(torch.randn(2, 2, 8, 8), "a"))
    assert found.is_contiguous(memory_format=torch.channels_last) == last
    assert found.is_contiguous() != last
