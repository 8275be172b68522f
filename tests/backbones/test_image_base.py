import pytest
import torch
from torch.nn import functional as F

from mtl_cli.backbones.cnn import CNN
from mtl_cli.backbones.image_base import ImageStem
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import Features, run_stage, run_stages
from tests.backbones._inputs import cnn, examples, factory

SPECS = {
    "grey": InputSpec("image", (1, 12, 16)),
    "colour": InputSpec("image", (3, 10, 20)),
    "two": InputSpec("image", (2, 12, 20)),
}


def test_the_common_image_is_the_largest_in_each_direction():
    assert cnn().common_input(SPECS) == InputSpec("image", (3, 12, 20))
    assert cnn().common_input({"grey": SPECS["grey"]}) == SPECS["grey"]


@pytest.mark.parametrize("name", SPECS)
def test_images_are_resized_bilinearly_and_channels_repeated(name):
    images = examples(SPECS, rows=3)[name].values
    out = ImageStem(InputSpec("image", (3, 12, 20)))(images)
    resized = F.interpolate(images, (12, 20), mode="bilinear", align_corners=False)
    order = {"grey": [0, 0, 0], "colour": [0, 1, 2], "two": [0, 1, 0]}[name]
    torch.testing.assert_close(out, resized[:, order])


def test_images_of_the_common_size_pass_unchanged():
    stages = factory(cnn(), SPECS)()
    images = torch.randn(2, 3, 12, 20)
    assert torch.equal(ImageStem(InputSpec("image", (3, 12, 20)))(images), images)
    grey = torch.randn(2, 1, 8, 8)
    assert torch.equal(ImageStem(InputSpec("image", (1, 8, 8)))(grey), grey)
    assert not list(stages[0].parameters())


def test_a_backbone_of_any_size_gets_images_as_large_as_they_are():
    class Convolution(CNN):
        takes_any_size = True

    made = factory(Convolution([4], [], 0.0, "relu", "none", "default"), SPECS)
    for inputs in examples(SPECS).values():
        channels = [index % inputs.values.shape[1] for index in range(3)]
        stages = made()
        assert torch.equal(run_stage(stages[0], inputs).values, inputs.values[:, channels])
        assert run_stages(stages, inputs).values.shape[2:] == tuple(size // 2 for size in inputs.values.shape[2:])


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_last_in_memory_after_the_stem_and_stay_so(channels):
    made = factory(cnn(), {"a": InputSpec("image", (channels, 16, 16))})
    stages = made().eval()
    out = stages[0](Inputs(torch.randn(2, channels, 16, 16), "a"))
    assert out.stride()[1] == 1
    out = stages[1](out)
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert not out.is_contiguous()


def test_datasets_of_different_images_share_one_trunk():
    made = factory(cnn(), SPECS)
    trunk = made().eval()
    alone = factory(cnn(), {"big": InputSpec("image", (3, 12, 20))})().eval()
    for inputs in examples(SPECS).values():
        images = F.interpolate(inputs.values, (12, 20), mode="bilinear", align_corners=False)
        images = images.repeat(1, 3, 1, 1)[:, :3]
        expected = alone[1:](Features(images)).values
        torch.testing.assert_close(run_stages(trunk, inputs).values, expected)


def test_other_inputs_are_refused_with_the_backbone_that_fits():
    with pytest.raises(
        ValueError,
        match=r"backbone=cnn takes image or image_row inputs; dataset 'x' has vector inputs \(7,\)\. Use .*=mlp",
    ):
        cnn().common_input({"grey": SPECS["grey"], "x": InputSpec("vector", (7,))})
