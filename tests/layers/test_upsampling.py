import pytest
import torch
from torch.nn import functional as F

from mtl_cli.layers.upsampling import ImageDecoder


def test_each_width_after_the_first_doubles_the_map_up_to_the_size_of_the_image():
    decoder = ImageDecoder(3, [4, 2], 1, (5, 7), "none", "tanh")
    first, block, last = decoder.first, decoder.blocks[0][0], decoder.last
    vectors = torch.randn(2, 3)
    small = (vectors @ first.weight.T + first.bias).reshape(2, 4, 3, 4)
    rows, columns = (torch.tensor([(k * small) // large for k in range(large)]) for small, large in ((3, 5), (4, 7)))
    nearest = small[:, :, rows][:, :, :, columns]
    hidden = torch.tanh(F.conv2d(nearest, block.weight, block.bias, padding=1))
    torch.testing.assert_close(decoder(vectors), F.conv2d(hidden, last.weight, last.bias, padding=1))


@pytest.mark.parametrize("size", [(28, 28), (1, 9), (33, 17)])
def test_images_of_any_size_come_out(size):
    assert ImageDecoder(3, [8, 8, 8], 2, size, "group", "relu")(torch.randn(4, 3)).shape == (4, 2, *size)
