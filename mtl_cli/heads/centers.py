"""A head that gives maps of the centres of objects."""

import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.base import Head
from mtl_cli.layers.convolution import conv_stack
from mtl_cli.layers.named import check_names, initialise
from mtl_cli.layers.strides import Patches, stride_of

RARE = 0.1
"""What heat maps say at first of every position, as in the paper: the many empty ones do not drown the few."""


class CenterHead(Head):
    """Heat maps of centres, with the offset and the size of the box at each position.

    Source: Zhou, Wang, Krähenbühl, "Objects as Points", 2019, section 4. A 3×3 convolution of `hidden` channels and a
    1×1 convolution for each of the three. Positions are `stride` pixels of the image apart, or as far as those of the
    backbone's map are, whichever is more.
    """

    gives: ClassVar[str] = "detection"
    takes: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(
        self,
        hidden: int = 32,
        stride: int = 4,
        norm: str = "group",
        activation: str = "relu",
        init: str = "default",
    ) -> None:
        if hidden < 1 or stride < 1 or not math.log2(stride).is_integer():
            raise ValueError(
                f"head.hidden is {hidden}, head.stride {stride}; hidden is at least 1 and stride a power of two. "
                "Use head.hidden=32 head.stride=4."
            )
        check_names(activation, init, norm)
        self.hidden, self.stride, self.norm, self.activation, self.init = hidden, stride, norm, activation, init

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from maps to heat maps of `num_outputs` classes, sizes and offsets."""
        own = stride_of(spec)
        module = Centers(self, spec.width, num_outputs, own, max(1, self.stride // own))
        initialise(module, self.init)
        module.begin_rare()
        return module


class Centers(nn.Module):
    """Gives `heat` (logits) [B, C, h, w], `size` and `offset` [B, 2, h, w], and pixels per position, `stride` [B]."""

    def __init__(self, head: CenterHead, width: int, classes: int, own: int, factor: int) -> None:
        super().__init__()
        self.stride = own * factor
        self.patches = Patches(width, factor)
        self.heat, self.size, self.offset = (self._branch(head, outputs) for outputs in (classes, 2, 2))

    def _branch(self, head: CenterHead, outputs: int) -> nn.Sequential:
        layers = conv_stack(self.patches.width, [head.hidden], 3, head.norm, head.activation)
        return layers.append(nn.Conv2d(head.hidden, outputs, 1))

    def begin_rare(self) -> None:
        """Let every position say at first that an object is rare, of the mean size."""
        for branch, bias in ((self.heat, math.log(RARE / (1 - RARE))), (self.size, 0.0), (self.offset, 0.5)):
            last = branch[-1]
            assert isinstance(last, nn.Conv2d)
            assert last.bias is not None
            nn.init.constant_(last.bias, bias)

    def forward(self, features: Features) -> Mapping[str, Tensor]:
        """Return the maps."""
        values = self.patches(features.values)
        stride = values.new_full((values.shape[0],), float(self.stride))
        return {
            "heat": self.heat(values),
            "size": self.size(values),
            "offset": self.offset(values),
            "stride": stride,
        }
