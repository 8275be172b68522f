"""A head that gives a heat map for each keypoint, and whether it is visible."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.base import Head
from mtl_cli.layers.convolution import conv_stack
from mtl_cli.layers.named import check_names, initialise
from mtl_cli.layers.strides import stride_of


class KeypointHead(Head):
    """A 3×3 convolution of `hidden` channels, then a 1×1 convolution to a heat map per keypoint.

    A linear layer on the mean of the map and its maximum says which keypoints are visible.
    """

    gives: ClassVar[str] = "keypoints"
    takes: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(self, hidden: int = 32, norm: str = "group", activation: str = "relu", init: str = "default") -> None:
        if hidden < 1:
            raise ValueError(f"head.hidden is {hidden}; it is at least 1. Use head.hidden=32.")
        check_names(activation, init, norm)
        self.hidden, self.norm, self.activation, self.init = hidden, norm, activation, init

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from maps to heat maps of `num_outputs` keypoints."""
        module = KeypointMaps(self, spec, num_outputs)
        initialise(module, self.init)
        return module


class KeypointMaps(nn.Module):
    """Gives `heat` (logits) [B, K, h, w], `visible` (logits) [B, K], and the pixels per position, `stride` [B]."""

    def __init__(self, head: KeypointHead, spec: FeatureSpec, keypoints: int) -> None:
        super().__init__()
        self.stride = stride_of(spec)
        self.layers = conv_stack(spec.width, [head.hidden], 3, head.norm, head.activation)
        self.heat = nn.Conv2d(head.hidden, keypoints, 1)
        self.visible = nn.Linear(2 * head.hidden, keypoints)

    def forward(self, features: Features) -> Mapping[str, Tensor]:
        """Return the maps."""
        values = self.layers(features.values)
        pooled = torch.cat([values.mean(dim=(2, 3)), values.amax(dim=(2, 3))], dim=1)
        stride = values.new_full((values.shape[0],), float(self.stride))
        return {"heat": self.heat(values), "visible": self.visible(pooled), "stride": stride}
