"""What heads have in common that make images of a vector."""

from abc import ABC
from collections.abc import Sequence

from mtl_cli.features import FeatureSpec
from mtl_cli.heads.base import Head
from mtl_cli.layers.named import check_names
from mtl_cli.layers.upsampling import ImageDecoder


class ImageDecoderHead(Head, ABC):
    """A head with an `ImageDecoder`.

    Args:
        hidden: channels of the small map that comes first, and after each doubling of its height and width.
        norm: batch, group or none.
        activation: see `mtl_cli.layers.named`.
        init: see `mtl_cli.layers.named`.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 32, 16),
        norm: str = "group",
        activation: str = "relu",
        init: str = "default",
    ) -> None:
        if not hidden or any(width < 1 for width in hidden):
            raise ValueError(
                f"head.hidden is {list(hidden)}; there is a width of at least 1 for the small map, and one per "
                "doubling. Use head.hidden=[64,32,16]."
            )
        check_names(activation, init, norm)
        self.hidden, self.norm, self.activation, self.init = tuple(hidden), norm, activation, init

    def decoder(self, spec: FeatureSpec, fan_in: int, num_outputs: int) -> ImageDecoder:
        """Return the decoder from vectors [B, fan_in] to images of the size that the spec names.

        Raises:
            ValueError: the spec does not name one.
        """
        if spec.image is None:
            raise ValueError(
                "A head that makes images needs to know their size, which a task on images with one size tells it. "
                "Use a Reconstruction, or head._target_=mtl_cli.heads.map.MapHead."
            )
        return ImageDecoder(fan_in, self.hidden, num_outputs, spec.image, self.norm, self.activation)
