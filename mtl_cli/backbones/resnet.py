"""A residual network of torchvision, with its weights or without."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import InputSpec
from mtl_cli.errors import UserError, nearest
from mtl_cli.features import Stage
from mtl_cli.layers.fpn import FeaturePyramid
from mtl_cli.layers.named import norm2d
from mtl_cli.layers.weight_files import load_weights, read_weights

DEPTHS = ("18", "34", "50", "101", "152")
NORMS = ("batch", "frozen", "group")
LAYERS = ("layer1", "layer2", "layer3", "layer4")


class ResNet(ImageBackbone):
    """Stages conv1 and layer1 … layer4, maps of 1/4, 1/4, 1/8, 1/16 and 1/32 of the image; with `fpn`, one of 1/4.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, as torchvision builds it,
    with images of any number of channels: the kernels of pretrained weights are repeated and scaled. `fpn` adds a stage
    that joins the maps of all layers (`mtl_cli.layers.fpn`). norm=frozen keeps the statistics and factors of pretrained
    weights; norm=batch learns them, and mixes them where datasets share the trunk; norm=group has none, and takes no
    pretrained weights.
    """

    takes_any_size: ClassVar[bool] = True
    gives: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(self, depth: int, weights: str | None, norm: str, fpn: int | None, init: str) -> None:
        if str(depth) not in DEPTHS:
            raise ValueError(f"backbone.depth is {depth}; it is one of {', '.join(DEPTHS)}. Use backbone.depth=18.")
        if norm not in NORMS:
            raise ValueError(f"backbone.norm is '{norm}'.{nearest(norm, NORMS)} It is one of {', '.join(NORMS)}.")
        if norm == "group" and weights is not None:
            raise ValueError(
                "backbone.norm is group, but pretrained weights have statistics of batches. Use backbone.norm=frozen, "
                "or backbone.weights=null."
            )
        if norm == "frozen" and weights is None:
            raise ValueError(
                "backbone.norm is frozen, but there are no weights whose statistics could be kept. Use "
                "backbone.norm=group, or backbone.weights=FILE."
            )
        if fpn is not None and fpn < 1:
            raise ValueError(
                f"backbone.fpn is {fpn}; it is a number of channels, or null for none. Use backbone.fpn=64."
            )
        self.depth, self.weights, self.norm, self.fpn, self.init = depth, weights, norm, fpn, init
        self.channels_last, self.pretrained = norm != "group", weights is not None
        self._network: dict[int, nn.Module] = {}

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages; a copy of a part of the pretrained network each, or one with values of its own."""
        network: Any = self._built(common.shape[0])
        stages: dict[str, Callable[[], nn.Module]] = {
            "conv1": lambda: self._fresh(nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool))
        }
        for name in LAYERS:
            stages[name] = self._layer(getattr(network, name), keeps=name != "layer1")
        if self.fpn is not None:
            widths, width = [channels_of(getattr(network, name)) for name in LAYERS], self.fpn
            stages["fpn"] = lambda: FeaturePyramid(widths, width)
        return stages

    def _layer(self, layers: nn.Module, keeps: bool) -> Callable[[], nn.Module]:
        return lambda: Layer(self._fresh(layers), keeps)

    def _fresh(self, part: nn.Module) -> nn.Module:
        """Return a copy of a part, with new random values where there are no weights."""
        part = copy.deepcopy(part)
        if self.weights is None:
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        return part

    def _built(self, channels: int) -> nn.Module:
        """Return the network for images of a number of channels, built and loaded once."""
        if channels not in self._network:
            from torchvision import models
            from torchvision.ops import FrozenBatchNorm2d

            norms: dict[str, Callable[[int], nn.Module]] = {
                "batch": nn.BatchNorm2d,
                "frozen": FrozenBatchNorm2d,
                "group": lambda width: norm2d("group", width),
            }
            with torch.random.fork_rng(devices=[]):
                network = getattr(models, f"resnet{self.depth}")(norm_layer=norms[self.norm])
                if channels != 3:
                    network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
            if self.weights is not None:
                load_weights(network, self._read(), "backbone.weights", "conv1.weight", ("fc.",))
            self._network[channels] = network
        return self._network[channels]

    def _read(self) -> dict[str, Tensor]:
        assert self.weights is not None
        if self.weights == "torchvision":
            return torchvision_weights(f"resnet{self.depth}")
        return read_weights(Path(self.weights).expanduser(), "backbone.weights")


class Layer(Stage):
    """Residual blocks; their input is kept where later stages or heads read it."""

    def __init__(self, blocks: nn.Module, keeps: bool) -> None:
        super().__init__()
        self.blocks = blocks
        self.keeps_input = keeps

    def forward(self, values: Tensor) -> Tensor:
        """Return maps."""
        return self.blocks(values)


def channels_of(blocks: nn.Module) -> int:
    """Return the number of channels that residual blocks give."""
    convolutions = [module for module in blocks.modules() if isinstance(module, nn.Conv2d) and module.groups == 1]
    return max(module.out_channels for module in convolutions)


def torchvision_weights(model: str) -> dict[str, Tensor]:
    """Return the weights that torchvision offers for a model, from its cache or the web.

    Raises:
        UserError: they are not in the cache and cannot be fetched; it says where the file must lie.
    """
    from torchvision.models import get_model_weights

    url = get_model_weights(model).DEFAULT.url
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        place = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
        raise UserError(
            f"backbone.weights is torchvision, but {url} cannot be fetched ({error}). Put that file at {place}, or "
            "give the path of a file: backbone.weights=FILE. backbone.weights=null trains from scratch."
        ) from error
