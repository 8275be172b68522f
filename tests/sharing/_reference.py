"""Backbones of three kinds written out as functions of a dict of weights; imports nothing from mtl_cli to compute with.

A reference of a mode reads the mode's weights by name and computes its equations with these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtl_cli.backbones.base import Backbone, BackboneFactory
from mtl_cli.backbones.cnn import CNN
from mtl_cli.backbones.mlp import MLP
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.sharing.base import Sharing
from tests.sharing._inputs import Embed, ids, images, sharing, vectors

TASKS = ("left", "right", "third")
Weights = dict[str, Tensor]
Reference = Callable[["Net", Weights, Tensor], dict[str, Tensor]]


class TokenNet(Backbone):
    """Sequences: embedding, then three stages linear – tanh at each position."""

    def common_input(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        return inputs["one"]

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        return Embed()

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        return {
            name: lambda fan_in=fan_in: nn.Sequential(nn.Linear(fan_in, 8), nn.Tanh())
            for name, fan_in in (("one", 6), ("two", 8), ("three", 8))
        }


@dataclass(frozen=True)
class Net:
    """A backbone of three stages of one kind, computed from weights."""

    kind: str

    def stem(self, weights: Weights, prefix: str, x: Tensor) -> Tensor:
        return F.embedding(x, weights[f"{prefix}.stems.one.table.weight"]) if self.kind == "sequence" else x

    def stage(self, weights: Weights, prefix: str, x: Tensor) -> Tensor:
        """Return the output of one stage, a Sequential whose first layer has the weights."""
        weight, bias = weights[f"{prefix}.0.weight"], weights[f"{prefix}.0.bias"]
        if self.kind == "vector":
            return (x @ weight.T + bias).clamp(min=0)
        if self.kind == "map":
            return F.max_pool2d(F.conv2d(x, weight, bias, padding=1).clamp(min=0), 2)
        return torch.tanh(x @ weight.T + bias)

    def trunk(self, weights: Weights, prefix: str, x: Tensor, stages: int = 3) -> Tensor:
        """Return the features after `stages` stages above the stem."""
        x = self.stem(weights, f"{prefix}.0", x)
        for index in range(1, stages + 1):
            x = self.stage(weights, f"{prefix}.{index}", x)
        return x

    def pool(self, x: Tensor, inputs: Tensor) -> Tensor:
        """Return the mean over positions, over real tokens of sequences."""
        if self.kind == "vector":
            return x
        if self.kind == "map":
            return x.mean(dim=(2, 3))
        real = inputs != 0
        return torch.stack([row[keep].mean(dim=0) for row, keep in zip(x, real, strict=True)])

    def spread(self, scale: Tensor, like: Tensor) -> Tensor:
        """Return a scale per sample [B] in a shape that multiplies `like`."""
        return scale.reshape(-1, *[1] * (like.ndim - 1))

    @property
    def channels(self) -> int:
        """The channels' dimension."""
        return 1 if self.kind == "map" else -1


NETS = [Net("vector"), Net("map"), Net("sequence")]
RECIPES: dict[str, tuple[Callable[[], Backbone], InputSpec, Callable[[int], Tensor]]] = {
    "vector": (lambda: MLP([8, 12, 8], 0.0, "relu", "default"), InputSpec("vector", (9,)), vectors),
    "map": (lambda: CNN([4, 6, 8], [], 0.0, "relu", "none", "default"), InputSpec("image", (1, 12, 12)), images),
    "sequence": (TokenNet, InputSpec("tokens", (7,)), ids),
}


def reference_factory(kind: str, tasks: tuple[str, ...] = TASKS) -> BackboneFactory:
    """Return the factory of the backbone that `Net(kind)` computes, on one dataset."""
    make, spec, batch = RECIPES[kind]
    return BackboneFactory(make(), {"one": Inputs(batch(2), "one")}, {"one": spec}, dict.fromkeys(tasks, "one"), seed=3)


def batch_of(kind: str) -> Tensor:
    """Return a batch of 5 for the kind, in double precision where it is real."""
    values = RECIPES[kind][2](5)
    return values.double() if values.is_floating_point() else values


def randomised(mode: Sharing) -> Sharing:
    """Return the mode in double precision with noise on every parameter, so that none is at its special start."""
    mode = mode.double()
    stream = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in mode.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=stream, dtype=torch.float64))
    return mode


def assert_equals(name: str, net: Net, reference: Reference, tasks: tuple[str, ...] = TASKS, **settings) -> None:
    """Assert that outputs and all gradients of a mode are those of the reference, to 1e-6 and better."""
    mode = randomised(sharing(name, reference_factory(net.kind), **settings))
    x = batch_of(net.kind)
    real = (x != 0).unsqueeze(-1) if net.kind == "sequence" else torch.ones(1)
    weights = {key: value.detach().clone().requires_grad_() for key, value in mode.named_parameters()}
    got = {task: features.values for task, features in mode(Inputs(x, "one"), tasks).features.items()}
    want = reference(net, weights, x)
    stream = torch.Generator().manual_seed(11)
    sums: list[Tensor] = [torch.zeros(()), torch.zeros(())]
    for task in tasks:
        torch.testing.assert_close(got[task] * real, want[task] * real, rtol=1e-9, atol=1e-9)
        direction = torch.randn(got[task].shape, generator=stream) * real
        sums = [total + (direction * of).sum() for total, of in zip(sums, (got[task], want[task]), strict=True)]
    gradients = torch.autograd.grad(sums[0], list(mode.parameters()), allow_unused=True)
    expected = torch.autograd.grad(sums[1], list(weights.values()), allow_unused=True)
    assert any(gradient is not None and gradient.abs().max() > 1e-3 for gradient in gradients)
    for key, first, second in zip(weights, gradients, expected, strict=True):
        zero = torch.zeros_like(weights[key])
        first, second = zero if first is None else first, zero if second is None else second
        torch.testing.assert_close(first, second, rtol=1e-8, atol=1e-9, msg=lambda text, key=key: f"{key}: {text}")
