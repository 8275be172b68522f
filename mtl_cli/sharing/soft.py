"""Soft parameter sharing."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import run_stages
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing


class Soft(Sharing):
    """One backbone per task, drawn to each other by λ·Σᵢ<ⱼ‖θᵢ − θⱼ‖², λ = `strength`.

    Source: Duong, Cohn, Bird, Cook, "Low Resource Dependency Parsing: Cross-lingual Parameter Sharing in a Neural
    Network Parser", ACL 2015, eq. 2. Differs from it in tying every parameter of equal name and shape rather than a
    chosen layer, and in training all tasks together. Stems of different datasets are not tied.

    Raises:
        ValueError: `strength` is negative or not finite.
    """

    runs_whole_modules = False

    def __init__(self, strength: float, *, backbone: BackboneFactory, tasks: Sequence[str]) -> None:
        super().__init__()
        if not (math.isfinite(strength) and strength >= 0):
            raise ValueError(
                f"sharing.strength is {strength}; a strength is a finite number ≥ 0. "
                "Use sharing.strength=0.001, or sharing=independent for none."
            )
        self.strength = strength
        self.trunks = NamedModules({task: backbone(task, tasks=[task]) for task in tasks})
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's features from its own backbone."""
        return Shared({task: run_stages(self.trunks[task], inputs) for task in tasks})

    def regularizer(self) -> Tensor | None:
        """Return λ·Σᵢ<ⱼ‖θᵢ − θⱼ‖² over the parameters that two tasks or more have; None where λ is 0.

        It is computed as T·Σᵢ‖θᵢ − θ̄‖², which is the same and takes T terms instead of T².
        """
        if self.strength == 0:
            return None
        twins: dict[tuple[str, torch.Size], list[Tensor]] = {}
        for trunk in self.trunks.values():
            for name, parameter in trunk.named_parameters():
                twins.setdefault((name, parameter.shape), []).append(parameter)
        terms = [len(group) * _scatter(torch.stack(group)) for group in twins.values() if len(group) > 1]
        return self.strength * torch.stack(terms).sum() if terms else None


def _scatter(stacked: Tensor) -> Tensor:
    return (stacked - stacked.mean(dim=0)).square().sum()  # [T, ...] to a scalar
