"""A tiny U-Net of real stages and a map head that reads skips."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import InputSpec
from mtl_cli.features import Features, FeatureSpec, Stage
from mtl_cli.heads.base import Head


class UNet(ImageBackbone):
    """Encoders that keep what they are handed and a decoder that takes the last skip; the finest is left for a head."""

    takes_any_size = True

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        return {
            "enc1": lambda: nn.Sequential(nn.Conv2d(common.shape[0], 4, 3, padding=1), nn.Tanh()),
            "enc2": lambda: Encoder(4, 6),
            "enc3": lambda: Encoder(6, 8),
            "dec1": lambda: Decoder(8, 6, 8),
        }


class Pyramid(UNet):
    """Its last stage sets the skips that a head reads."""

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        return {**super().stages(common), "merge": lambda: Merge(8)}


class Encoder(Stage):
    """Keeps its input, then halves it and convolves."""

    keeps_input = True

    def __init__(self, fan_in: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(fan_in, out, 3, padding=1)

    def forward(self, values: Tensor) -> Tensor:
        return torch.tanh(self.conv(F.avg_pool2d(values, 2)))


class Decoder(Stage):
    """Brings its input to the size of the last skip and convolves both."""

    takes_skips = True

    def __init__(self, fan_in: int, skip: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(fan_in + skip, out, 3, padding=1)

    def forward(self, values: Tensor, skips: tuple[Tensor, ...]) -> Tensor:
        grown = F.interpolate(values, skips[-1].shape[2:])
        return torch.tanh(self.conv(torch.cat([grown, skips[-1]], dim=1)))


class Merge(Stage):
    """Refines the values by themselves, and the finest skip by as many of their channels."""

    takes_skips = True

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)

    def forward(self, values: Tensor, skips: tuple[Tensor, ...]) -> Features:
        values = torch.tanh(self.conv(values))
        finest = skips[0] + F.interpolate(values[:, : skips[0].shape[1]], skips[0].shape[2:])
        return Features(values, skips=(finest,))


class SkipHead(Head):
    """Outputs of the whole sample: the means of what values and skips say at each position."""

    reads_skips = True

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        return nn.Sequential(MapHead(spec, num_outputs), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class MapHead(nn.Module):
    """Outputs at each position of the finest skip, from values and all skips."""

    def __init__(self, spec: FeatureSpec, num_outputs: int = 3) -> None:
        super().__init__()
        widths = [spec.width, *[shape[0] for shape in spec.skips]]
        self.convs = nn.ModuleList(nn.Conv2d(width, num_outputs, 1) for width in widths)

    def forward(self, features: Features) -> Tensor:
        size = (features.skips or [features.values])[0].shape[2:]
        maps = zip(self.convs, [features.values, *features.skips], strict=True)
        return torch.stack([F.interpolate(conv(each), size) for conv, each in maps]).sum(dim=0)
