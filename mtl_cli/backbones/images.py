"""What image backbones have in common: one common image for datasets of different sizes and channels."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec


class ImageBackbone(Backbone):
    """A backbone whose stem brings images to the largest height, width and number of channels in the run."""

    def common_input(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return the largest image spec (C, H, W).

        Raises:
            ValueError: a dataset's inputs are not images.
        """
        for dataset, spec in inputs.items():
            if spec.kind != "image":
                raise ValueError(
                    f"backbone={type(self).__name__.lower()} takes images; dataset '{dataset}' has {spec.kind} inputs "
                    f"{spec.shape}. Use backbone=mlp."
                )
        channels, height, width = (max(sizes) for sizes in zip(*[spec.shape for spec in inputs.values()], strict=True))
        return InputSpec("image", (channels, height, width))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return the identity where the dataset has the common spec already, else a resizing stem."""
        return nn.Identity() if inputs == common else ImageStem(common)


class ImageStem(nn.Module):
    """Resizes images bilinearly to the common size and repeats a single channel; no parameters."""

    def __init__(self, common: InputSpec) -> None:
        super().__init__()
        self.channels, self.size = common.shape[0], common.shape[1:]

    def forward(self, images: Tensor) -> Tensor:
        """Return images [B, C, H, W] in the common spec."""
        if images.shape[2:] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", align_corners=False, antialias=True)
        if images.shape[1] == self.channels:
            return images
        repeats = -(-self.channels // images.shape[1])
        return images.repeat(1, repeats, 1, 1)[:, : self.channels]
