"""LeNet-5."""

from collections.abc import Callable
from typing import ClassVar

from torch import nn

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import InputSpec
from mtl_cli.layers.named import activation, check_names, checked_dropout


class LeNet(ImageBackbone):
    """Two 5×5 convolutions with pooling (6 and 16 channels), then dense layers of 120 and 84.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 1998.
    Differs from it in full connections between the convolutions, max pooling, and the activation, which YAML gives.
    """

    gives: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(self, activation: str, dropout: float, init: str) -> None:
        check_names(activation, init)
        self.activation, self.dropout, self.init = activation, checked_dropout(dropout), init

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return stages conv1, conv2 (maps), dense1, dense2 (vectors)."""
        channels, height, width = common.shape
        if min(height, width) < 12:
            raise ValueError(
                f"backbone=lenet needs images of at least 12×12, these are {height}×{width}. Use backbone=mlp."
            )
        size = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)

        def conv(fan_in: int, out: int, padding: int) -> Callable[[], nn.Module]:
            return lambda: nn.Sequential(
                nn.Conv2d(fan_in, out, kernel_size=5, padding=padding), nn.MaxPool2d(2), activation(self.activation)
            )

        def dense(fan_in: int, out: int, *before: nn.Module) -> Callable[[], nn.Module]:
            return lambda: nn.Sequential(
                *before, nn.Linear(fan_in, out), activation(self.activation), nn.Dropout(self.dropout)
            )

        return {
            "conv1": conv(channels, 6, padding=2),
            "conv2": conv(6, 16, padding=0),
            "dense1": dense(size, 120, nn.Flatten()),
            "dense2": dense(120, 84),
        }
