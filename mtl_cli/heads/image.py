"""A head that makes images of pooled features."""

from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec, pool
from mtl_cli.heads.image_base import ImageDecoderHead
from mtl_cli.layers.named import initialise
from mtl_cli.layers.upsampling import ImageDecoder


class ImageHead(ImageDecoderHead):
    """The decoder of an autoencoder: the pooled features, a small map, then doublings up to the image's size.

    Outputs are maps [B, num_outputs, H, W] of the size of the training images.
    """

    gives: ClassVar[str] = "map"

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from features to images [B, num_outputs, H, W]."""
        module = PooledDecoder(self.decoder(spec, spec.width, num_outputs))
        initialise(module, self.init)
        return module


class PooledDecoder(nn.Module):
    """Decodes the mean of features over positions."""

    def __init__(self, decoder: ImageDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Features) -> Tensor:
        """Return images [B, C, H, W]."""
        return self.decoder(pool(features))
