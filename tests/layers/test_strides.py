import pytest
import torch

from mtl_cli.features import FeatureSpec
from mtl_cli.layers.strides import Patches, stride_of


@pytest.mark.parametrize(
    ("image", "shape", "stride"),
    [((64, 64), (8, 64, 64), 1), ((64, 48), (8, 16, 12), 4), ((61, 67), (8, 16, 17), 4), ((320, 240), (8, 40, 30), 8)],
)
def test_the_stride_is_a_power_of_two_also_where_sizes_are_rounded_up(image, shape, stride):
    assert stride_of(FeatureSpec(shape, image=image)) == stride


def test_images_that_were_resized_have_none():
    with pytest.raises(ValueError, match=r"needs a backbone that leaves the size of images alone.*Use backbone=unet"):
        stride_of(FeatureSpec((8, 16, 16)))


def test_a_patch_is_one_position_and_the_last_ones_are_filled_up():
    patches = Patches(3, 4)
    maps = torch.randn(2, 3, 9, 8)
    found = patches(maps)
    assert found.shape == (2, 6, 3, 2)
    wanted = torch.einsum("oiyx,biyx->bo", patches.conv.weight, maps[:, :, 4:8, 4:8]) + patches.conv.bias
    torch.testing.assert_close(found[:, :, 1, 1], wanted)
    last = torch.einsum("oix,bix->bo", patches.conv.weight[:, :, 0], maps[:, :, 8, :4]) + patches.conv.bias
    torch.testing.assert_close(found[:, :, 2, 0], last)
    assert torch.equal(Patches(3, 1)(maps), maps)
