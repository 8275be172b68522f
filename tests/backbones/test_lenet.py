import pytest
import torch
from torch.nn import functional as F

from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages
from tests.backbones._inputs import factory, lenet


def test_it_equals_a_written_out_network():
    stages = factory(lenet(), {"a": InputSpec("image", (1, 28, 28))})().eval()
    w1, b1, w2, b2, w3, b3, w4, b4 = stages.parameters()
    images = torch.randn(3, 1, 28, 28)
    x = F.max_pool2d(torch.tanh(F.conv2d(images, w1, b1, padding=2)), 2)
    x = F.max_pool2d(torch.tanh(F.conv2d(x, w2, b2)), 2)
    x = torch.tanh(F.linear(torch.tanh(F.linear(x.flatten(1), w3, b3)), w4, b4))
    torch.testing.assert_close(run_stages(stages, Inputs(images, "a")).values, x)


def test_it_has_the_layers_of_lenet5():
    made = factory(lenet(), {"a": InputSpec("image", (1, 28, 28))})
    assert [spec.shape for spec in made.specs[1:]] == [(6, 14, 14), (16, 5, 5), (120,), (84,)]
    expected = (25 * 6 + 6) + (25 * 6 * 16 + 16) + (400 * 120 + 120) + (120 * 84 + 84)
    assert sum(parameter.numel() for parameter in made().parameters()) == expected == 60_856


@pytest.mark.parametrize(("height", "width"), [(12, 12), (13, 15), (12, 40), (29, 31)])
def test_any_image_of_12_by_12_or_more_fits(height, width):
    made = factory(lenet(), {"a": InputSpec("image", (2, height, width))})
    assert made.specs[-1].shape == (84,)


def test_smaller_images_are_a_clear_error():
    for shape in ((1, 11, 28), (1, 28, 11)):
        with pytest.raises(ValueError, match=f"at least 12×12, these are {shape[1]}×{shape[2]}"):
            factory(lenet(), {"a": InputSpec("image", shape)})


def test_values_out_of_range_are_refused():
    for arguments in ({"dropout": -0.1}, {"activation": "tahn"}, {"init": "zero"}):
        with pytest.raises(ValueError, match=r"dropout is|There is no"):
            lenet(**arguments)
