"""A model of timm that gives maps."""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import InputSpec
from mtl_cli.errors import UserError, nearest, not_installed
from mtl_cli.features import Features, Stage
from mtl_cli.layers.fpn import FeaturePyramid
from mtl_cli.layers.weight_files import read_weights

logger = logging.getLogger("mtl_cli")
CLOSE = 1e-4
"""Largest difference of outputs by which stages count as the model itself."""


class Timm(ImageBackbone):
    """Stages stage1 … stageN of a model of timm, each with a smaller map; with `fpn`, one map of the first one's size.

    `weights` are null (from scratch), timm (those that belong to the name, which timm fetches and keeps), or the path
    of a file; the first convolution is adapted to the number of channels by timm. Where stages one by one do not give
    what the model gives, the whole model is the one stage "features". `fpn` adds a stage that joins the maps of all
    stages (`mtl_cli.layers.fpn`). Some models, such as transformers, take images of one size only.
    """

    takes_any_size: ClassVar[bool] = True
    gives: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(self, model: str, weights: str | None, fpn: int | None, init: str) -> None:
        if not model:
            raise ValueError("backbone.model is empty; give the name of a model of timm, such as resnet18.a1_in1k.")
        if fpn is not None and fpn < 1:
            raise ValueError(f"backbone.fpn is {fpn}; it is a number of channels, or null. Use backbone.fpn=64.")
        self.model, self.weights, self.fpn, self.init = model, weights, fpn, init
        self.pretrained = weights is not None
        self._parts: dict[InputSpec, list[nn.Module]] = {}
        self._widths: list[int] = []

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return a copy of each stage; without weights, one with values of its own."""
        parts = self._built(common)

        def stage(index: int) -> Callable[[], nn.Module]:
            return lambda: self._fresh(common, index)

        names = [f"stage{index + 1}" for index in range(len(parts))] if len(parts) > 1 else ["features"]
        stages = {name: stage(index) for index, name in enumerate(names)}
        if self.fpn is not None:
            widths, width = self._widths, self.fpn
            stages["fpn"] = lambda: FeaturePyramid(widths, width)
        return stages

    def _fresh(self, common: InputSpec, index: int) -> nn.Module:
        parts = self._built(common) if self.weights is not None else self._split(self._create(common), common)
        return copy.deepcopy(parts[index])

    def _built(self, common: InputSpec) -> list[nn.Module]:
        """Return the stages, built once."""
        if common not in self._parts:
            with torch.random.fork_rng(devices=[]):
                network = self._create(common)
                self._widths = list(network.feature_info.channels())
                self._parts[common] = self._split(network, common)
            if len(self._parts[common]) == 1:
                logger.info("%s is one stage: its parts cannot be run one by one.", self.model)
        return self._parts[common]

    def _create(self, common: InputSpec) -> Any:  # noqa: ANN401  a class of timm
        """Return the model that gives maps.

        Raises:
            UserError: timm is not installed, has no such model, or the weights cannot be had.
        """
        try:
            import timm
        except ImportError as error:
            raise not_installed("Models of timm are built by timm", error, "images") from error
        if not timm.is_model(self.model):
            hint = nearest(self.model.partition(".")[0], timm.list_models())
            raise UserError(f"backbone.model is '{self.model}', which timm {timm.__version__} does not have.{hint}")
        more: dict[str, Any] = {"pretrained": self.weights is not None}
        if self.weights not in (None, "timm"):
            tensors = read_weights(Path(str(self.weights)).expanduser(), "backbone.weights")
            more["pretrained_cfg_overlay"] = {"state_dict": tensors}
        try:
            return timm.create_model(self.model, features_only=True, in_chans=common.shape[0], **more)
        except (OSError, RuntimeError, ValueError, AttributeError, KeyError) as error:
            reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            raise UserError(
                f"backbone.model={self.model} with backbone.weights={self.weights} cannot be built: {reason} "
                "Give the path of a file: backbone.weights=FILE, or backbone.weights=null to train from scratch."
            ) from error

    def _split(self, network: Any, common: InputSpec) -> list[nn.Module]:  # noqa: ANN401  a class of timm
        """Return the stages of a model, or the whole model where they do not give the same."""
        whole = Whole(network)
        places = getattr(network, "return_layers", None)
        if not isinstance(places, Mapping) or not isinstance(network, nn.ModuleDict):
            return [whole]
        groups: list[list[nn.Module]] = [[]]
        for name, module in network.items():
            groups[-1].append(module)
            if name in places:
                groups.append([])
        parts: list[nn.Module] = [Part(group, keeps=k > 0) for k, group in enumerate(groups) if group]
        return parts if len(parts) == len(places) and same(whole, parts, common.shape) else [whole]


class Part(Stage):
    """Successive modules of a model; their input is kept where later stages or heads read it."""

    def __init__(self, modules: Sequence[nn.Module], keeps: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*modules)
        self.keeps_input = keeps

    def forward(self, values: Tensor) -> Tensor:
        """Return maps."""
        return self.layers(values)


class Whole(nn.Module):
    """A whole model; all maps but the last are skips."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, values: Tensor) -> Features:
        """Return the last map."""
        *skips, last = self.network(values)
        return Features(last, skips=tuple(skips))


@torch.no_grad()
def same(whole: nn.Module, parts: Sequence[nn.Module], shape: Sequence[int]) -> bool:
    """Return whether stages one by one give the maps of the whole model."""
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    modes = [(module, module.training) for module in whole.modules()]
    whole.eval()
    try:
        wanted = whole(images)
        found = [images]
        for part in parts:
            found.append(part(found[-1]))
    except (RuntimeError, TypeError, AssertionError):
        return False
    finally:
        for module, mode in modes:
            module.training = mode
    maps = zip((*wanted.skips, wanted.values), found[1:], strict=True)
    return all(a.shape == b.shape and bool((a - b).abs().max() <= CLOSE) for a, b in maps)
