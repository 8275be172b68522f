"""An image out of its own features: an autoencoder."""

from torch import Tensor

from mtl_cli.tasks.reconstruction_base import ReconstructionTask


class Reconstruction(ReconstructionTask):
    """The input image out of the shared features, by squared errors: an autoencoder as an auxiliary task.

    It needs no labels. The features should be narrower than the image, as those of `backbone=cnn` are: through the
    skips of a U-Net the image gets to the head as it is. With `noise` or `erase` of `dataset=images` the target is the
    image before these, and the task that of a denoising autoencoder. `mtl_cli.heads.image.ImageHead` makes images of
    vectors and of small maps.
    """

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error of a known pixel; outputs [B, C, h, w], target [B, C, H, W]."""
        return self.pixel_loss(self.matched(outputs, target), target)
