"""Backbones with their arguments, examples and factories."""

import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.cnn import CNN
from mtl_cli.backbones.lenet import LeNet
from mtl_cli.backbones.mlp import MLP
from mtl_cli.batch import Inputs, InputSpec

GREY, COLOUR = InputSpec("image", (1, 16, 16)), InputSpec("image", (3, 20, 14))


def cnn(**changes):
    arguments = {
        "channels": [4, 6],
        "dense": [8],
        "dropout": 0.2,
        "activation": "relu",
        "norm": "none",
        "init": "default",
    }
    return CNN(**{**arguments, **changes})


def lenet(**changes):
    return LeNet(**{"activation": "tanh", "dropout": 0.0, "init": "default", **changes})


def mlp(**changes):
    return MLP(**{"hidden": [10, 7], "dropout": 0.1, "activation": "relu", "init": "default", **changes})


BACKBONES = {"cnn": cnn, "lenet": lenet, "mlp": mlp}


def examples(specs, rows=2):
    stream = torch.Generator().manual_seed(0)
    return {name: Inputs(torch.randn(rows, *spec.shape, generator=stream), name) for name, spec in specs.items()}


def factory(backbone, specs=None, dataset_of=None, seed=0):
    specs = specs or {"a": GREY}
    return BackboneFactory(backbone, examples(specs), specs, dataset_of or {name: name for name in specs}, seed)
