import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages
from tests.backbones._inputs import cnn, factory


def test_it_equals_a_written_out_network():
    stages = factory(cnn(activation="silu"), {"a": InputSpec("image", (2, 13, 18))})().eval()
    w1, b1, w2, b2, w3, b3 = stages.parameters()
    images = torch.randn(3, 2, 13, 18)
    x = F.max_pool2d(F.silu(F.conv2d(images, w1, b1, padding=1)), 2)
    x = F.max_pool2d(F.silu(F.conv2d(x, w2, b2, padding=1)), 2)
    x = F.silu(F.linear(x.flatten(1), w3, b3))
    torch.testing.assert_close(run_stages(stages, Inputs(images, "a")).values, x)


def test_the_default_of_the_issue_has_its_layers_and_parameters():
    made = factory(cnn(channels=[32, 64], dense=[128]), {"a": InputSpec("image", (1, 28, 28))})
    assert [spec.shape for spec in made.specs] == [(1, 28, 28), (32, 14, 14), (64, 7, 7), (128,)]
    expected = (9 * 1 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 7 * 7 * 128 + 128)
    assert sum(parameter.numel() for parameter in made().parameters()) == expected == 420_352


def test_dropout_follows_the_last_convolution_by_half_and_each_dense_layer():
    stages = factory(cnn(channels=[4, 4, 4], dense=[8, 8], dropout=0.3))()
    found = [[layer.p for layer in stage if isinstance(layer, nn.Dropout)] for stage in list(stages)[1:]]
    assert found == [[], [], [0.15], [0.3], [0.3]]
    assert not [layer for layer in factory(cnn(dropout=0.0))().modules() if isinstance(layer, nn.Dropout)]


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
def test_a_norm_stands_between_convolution_and_pooling(norm, kind):
    stages = factory(cnn(channels=[8, 16], norm=norm))()
    for stage in stages[1:3]:
        assert [type(layer) for layer in list(stage)[:3]] == [nn.Conv2d, kind, nn.MaxPool2d]


def test_without_dense_layers_it_gives_maps():
    made = factory(cnn(dense=[]))
    assert made.specs[-1].shape == (6, 4, 4)


def test_images_too_small_for_the_poolings_are_a_clear_error():
    for shape in ((1, 3, 16), (1, 16, 3), (1, 1, 1)):
        with pytest.raises(ValueError, match=f"images of {shape[1]}×{shape[2]} are too small for"):
            factory(cnn(), {"a": InputSpec("image", shape)})
    factory(cnn(), {"a": InputSpec("image", (1, 4, 4))})
    with pytest.raises(ValueError, match="at most 2 channels"):
        factory(cnn(channels=[2, 2, 2]), {"a": InputSpec("image", (1, 7, 7))})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": []}, "give widths ≥ 1"),
        ({"channels": [4, 0]}, "give widths ≥ 1"),
        ({"dense": [-1]}, "give widths ≥ 1"),
        ({"dropout": 1.5}, "probability"),
        ({"activation": "rleu"}, "'relu'"),
        ({"norm": "btach"}, "'batch'"),
        ({"init": "xavier"}, "initialisation 'xavier'"),
    ],
)
def test_values_out_of_range_are_refused_before_data_is_read(arguments, message):
    with pytest.raises(ValueError, match=message):
        cnn(**arguments)
