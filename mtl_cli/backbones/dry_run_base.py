"""Dry runs of stages on real examples: the specs of their features, and the skips that nothing reads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mtl_cli.batch import Inputs, image_size
from mtl_cli.features import Features, FeatureSpec, Stage, Stages, run_stage


def specs_of(names: Sequence[str], stages: Stages, examples: Mapping[str, Inputs]) -> list[FeatureSpec]:
    """Return the spec of the features after each of the named stages, on examples of every dataset.

    Raises:
        ValueError: a stage cannot take what the one before gives.
    """
    runs = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for inputs in examples.values():
            x: Inputs | Features = inputs
            specs = []
            for name, stage in zip(names, stages, strict=True):
                x = run_named(name, stage, x)
                specs.append(FeatureSpec.of(x))
            runs.append(specs)
    if any(image_size(inputs.values) != run[0].shape[1:] for inputs, run in zip(examples.values(), runs, strict=True)):
        return runs[0]
    image = image_size(next(iter(examples.values())).values)
    return [replace(spec, image=image) for spec in runs[0]]


def run_named(name: str, stage: nn.Module, x: Inputs | Features) -> Features:
    """Return the features after a stage.

    Raises:
        ValueError: the stage cannot take what the one before gives.
    """
    try:
        return run_stage(stage, x)
    except (RuntimeError, TypeError, IndexError) as error:
        given = "the input" if isinstance(x, Inputs) else f"features {tuple(x.values.shape)}"
        raise ValueError(f"Stage '{name}' of the backbone cannot take {given}: {error}") from error


def unread_skips(stages: Stages, inputs: Inputs) -> frozenset[int]:
    """Return the numbers of the stages whose kept input the values after the last stage do not depend on.

    Found by one backward on real inputs, in which every skip is a leaf of the graph.
    """
    if not any(isinstance(stage, Stage) and stage.keeps_input for stage in stages):
        return frozenset()
    leaves: dict[int, Tensor] = {}
    x: Inputs | Features = inputs
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        for number, stage in stages.numbered():
            x = run_stage(stage, x)
            if isinstance(stage, Stage) and stage.keeps_input:
                leaves[number] = x.skips[-1].detach().requires_grad_()
                x = Features(x.values, x.mask, (*x.skips[:-1], leaves[number]))
        assert isinstance(x, Features)
        if not x.values.requires_grad:
            return frozenset(leaves)
        gradients = torch.autograd.grad(x.values.sum(), list(leaves.values()), allow_unused=True)
    return frozenset(number for number, gradient in zip(leaves, gradients, strict=True) if gradient is None)
