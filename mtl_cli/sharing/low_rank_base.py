"""Low-rank shifts of weights: W + scale·B·A, for modes that adapt a trunk."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtl_cli.batch import Inputs
from mtl_cli.features import Features, Stages, run_stages


class LowRankShift(nn.Module):
    """A product B·A of rank r in the shape of a weight [out, ...]: A [r, fan_in] = `start`/√fan_in, B [out, r] = 0."""

    def __init__(self, shape: torch.Size, start: Tensor) -> None:
        super().__init__()
        self.shape = shape
        rank, fan_in = start.shape
        self.a = nn.Parameter(start / math.sqrt(fan_in))
        self.b = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self) -> Tensor:
        """Return B·A in the weight's shape."""
        return (self.b @ self.a).view(self.shape)


class LowRankShifts(nn.ModuleList):
    """Shifts of all weights of some stages that can be adapted, with A ~ U(±1/√fan_in) under the caller's seed."""

    def __init__(self, stages: Stages, names: Sequence[str], rank: int) -> None:
        shapes = [stages.get_parameter(name).shape for name in names]
        super().__init__(LowRankShift(each, torch.empty(rank, each[1:].numel()).uniform_(-1, 1)) for each in shapes)
        self.names = list(names)

    def run(self, stages: Stages, x: Inputs | Features, scale: float) -> Features:
        """Return the features after the stages under shifted weights."""
        shifts = zip(self.names, self, strict=True)
        weights = {name: stages.get_parameter(name) + scale * shift() for name, shift in shifts}
        if not weights:
            return run_stages(stages, x)
        with recurrent_weights(stages, weights):
            return functional_call(stages, weights, (x,))


def weight_names(stages: Stages) -> list[str]:
    """Return the names of the weights that can be adapted: of linear, convolution, attention and recurrent layers.

    Those of the stem and other tables of embeddings are not among them.
    """
    found = []
    for number, stage in stages.numbered():
        for path, layer in stage.named_modules() if number > 0 else ():
            prefix = ".".join([str(number - stages.first), *([path] if path else [])])
            found += [f"{prefix}.{name}" for name in matrices(layer)]
    return found


def matrices(layer: nn.Module) -> list[str]:
    """Return the names of a layer's own weights that can be adapted; joint weights, as of Q, K and V, are one."""
    if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
        return ["weight"]
    if isinstance(layer, nn.MultiheadAttention):
        joint = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        return [name for name in joint if getattr(layer, name) is not None]
    if isinstance(layer, nn.RNNBase):
        return [name for name, _ in layer.named_parameters() if name.startswith("weight_")]
    return []


def biases(layer: nn.Module) -> list[nn.Parameter]:
    """Return the biases of a layer whose weights can be adapted."""
    own = layer.named_parameters(recurse=False)
    return [parameter for name, parameter in own if "bias" in name] if matrices(layer) else []


@contextmanager
def recurrent_weights(stages: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Hand the weights to recurrent layers: these keep a list of their own, which `functional_call` does not reach."""
    layers = {path: layer for path, layer in stages.named_modules() if isinstance(layer, nn.RNNBase)}
    kept = {path: layer._flat_weights for path, layer in layers.items()}
    try:
        for path, layer in layers.items():
            names = [f"{path}.{name}" for name in layer._flat_weights_names]
            layer._flat_weights = [weights.get(name, own) for name, own in zip(names, kept[path], strict=True)]
        yield
    finally:
        for path, layer in layers.items():
            layer._flat_weights = kept[path]
