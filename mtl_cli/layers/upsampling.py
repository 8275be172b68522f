"""Images out of vectors."""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.layers.convolution import conv_block


class ImageDecoder(nn.Module):
    """Makes images [B, out, H, W] of vectors [B, D]: a linear layer to a small map, then one doubling per width.

    A doubling repeats positions and runs a 3×3 convolution, as A. Odena et al., "Deconvolution and Checkerboard
    Artifacts", Distill 2016, recommend in the place of a transposed convolution.

    Args:
        fan_in: D.
        widths: channels of the small map and after each doubling; the last map has the image's size.
        out: channels of the image.
        size: height and width of the image.
        norm: see `mtl_cli.layers.named`.
        activation: see `mtl_cli.layers.named`.
    """

    def __init__(
        self, fan_in: int, widths: Sequence[int], out: int, size: tuple[int, int], norm: str, activation: str
    ) -> None:
        super().__init__()
        doublings = len(widths) - 1
        self.sizes = [tuple(-(-side // 2**k) for side in size) for k in range(doublings, -1, -1)]
        self.first = nn.Linear(fan_in, widths[0] * self.sizes[0][0] * self.sizes[0][1])
        self.blocks = nn.ModuleList(
            nn.Sequential(*conv_block(before, after, 3, norm, activation))
            for before, after in itertools.pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], out, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return images [B, out, H, W]."""
        maps = self.first(vectors).unflatten(1, (-1, *self.sizes[0]))
        for block, size in zip(self.blocks, self.sizes[1:], strict=True):
            maps = block(F.interpolate(maps, size, mode="nearest"))
        return self.last(maps)
