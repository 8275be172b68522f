"""Blocks of convolutions, and maps brought to each other's size."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.layers.named import activation, norm2d


def conv_block(fan_in: int, out: int, kernel: int, norm: str, act: str, dropout: float = 0.0) -> list[nn.Module]:
    """Return a convolution that keeps the size, a norm, an activation and dropout of whole channels."""
    conv = nn.Conv2d(fan_in, out, kernel, padding=kernel // 2, bias=norm == "none")  # a norm has a bias of its own
    rest = [norm2d(norm, out), activation(act), nn.Dropout2d(dropout)]
    idle = [isinstance(layer, nn.Identity) or (isinstance(layer, nn.Dropout2d) and dropout == 0) for layer in rest]
    return [conv, *[layer for layer, skip in zip(rest, idle, strict=True) if not skip]]


def conv_stack(
    fan_in: int, widths: Sequence[int], kernel: int, norm: str, act: str, dropout: float = 0.0
) -> nn.Sequential:
    """Return one `conv_block` after another, of the given widths; dropout comes after the last."""
    layers: list[nn.Module] = []
    for number, out in enumerate(widths, start=1):
        layers += conv_block(fan_in, out, kernel, norm, act, dropout if number == len(widths) else 0.0)
        fan_in = out
    return nn.Sequential(*layers)


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Return maps [B, C, h, w] as [B, C, *size], interpolated bilinearly; as they are where that is their size."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
