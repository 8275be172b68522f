"""A head of dense layers on every frame, which says which frames are real."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.heads.dense_base import DenseHead
from mtl_cli.layers.dense import dense_stack
from mtl_cli.layers.named import initialise


class FrameHead(DenseHead):
    """Dense layers of the `hidden` widths on each frame, then a linear one; needs sequences."""

    gives: ClassVar[str] = "frames"
    takes: ClassVar[tuple[str, ...]] = ("sequence",)

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from sequences to `logits` [B, L, num_outputs] and `mask` [B, L], 1 where a frame is real."""
        layers = dense_stack(spec.width, self.hidden, num_outputs, self.activation, self.dropout)
        module = EachFrame(layers)
        initialise(module, self.init)
        return module


class EachFrame(nn.Module):
    """Dense layers on every frame of a sequence."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Return `logits` [B, L, num_outputs] and `mask` [B, L]."""
        values = features.values
        mask = torch.ones_like(values[..., 0]) if features.mask is None else features.mask.to(values.dtype)
        return {"logits": self.layers(values), "mask": mask}
