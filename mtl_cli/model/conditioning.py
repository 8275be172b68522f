"""A backbone whose features depend on a vector that the run chooses, such as a preference among the tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mtl_cli.features import Features, FeatureSpec, Stages
from mtl_cli.heads.base import TeacherForced
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Sharing

HIDDEN = 32


class FiLM(nn.Module):
    """γ(r)·features + β(r), by channel, where γ and β come from a layer of 32 hidden units on the vector r [T].

    Source: Perez, Strub, de Vries, Dumoulin & Courville, "FiLM: Visual Reasoning with a General Conditioning Layer",
    AAAI 2018. It starts as γ = 1 and β = 0.

    Args:
        spec: the spec of the features.
        fixed: the vector outside of training.
    """

    fixed: Tensor

    def __init__(self, spec: FeatureSpec, fixed: Sequence[float]) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(len(fixed), HIDDEN), nn.Linear(HIDDEN, 2 * spec.width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("fixed", torch.tensor(fixed), persistent=False)
        self.given: Tensor | None = None
        """The vector of the present step of training."""

    def forward(self, values: Tensor) -> Tensor:
        """Return values [B, D], [B, L, D] or [B, D, H, W], scaled and shifted."""
        vector = self.given if self.training and self.given is not None else self.fixed
        centred = len(vector) * vector - 1
        scale, shift = self.out(torch.tanh(self.hidden(centred))).chunk(2)
        if values.ndim == 4:
            scale, shift = scale[:, None, None], shift[:, None, None]
        return (1 + scale).to(values.dtype) * values + shift.to(values.dtype)

    def after_stage(self, stage: nn.Module, given: Any, output: Tensor | Features) -> Tensor | Features:  # noqa: ANN401
        """Return the output of a stage, scaled and shifted: a forward hook."""
        if isinstance(output, Features):
            return replace(output, values=self(output.values))
        return self(output)

    def before_head(self, head: nn.Module, given: tuple[Features, *tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return what a head is called with, its features scaled and shifted: a forward hook."""
        features, *others = given
        return (replace(features, values=self(features.values)), *others)


class Conditioner(nn.Module):
    """Scales and shifts behind every stage after the stem, of all copies that a sharing mode has, and before each head.

    Heads that see targets read the features as the last stage leaves them.

    Args:
        sharing: the mode.
        specs: the specs of the features after each stage, that of the stem first.
        heads: the heads by task.
        fixed: the vector outside of training.

    Raises:
        ValueError: there is no such stage.
    """

    def __init__(
        self, sharing: Sharing, specs: Sequence[FeatureSpec], heads: Mapping[str, nn.Module], fixed: Sequence[float]
    ) -> None:
        super().__init__()
        self.stages, self.heads = nn.ModuleList(), NamedModules()
        stages: dict[nn.Module, int] = {}
        for part in sharing.modules():
            if isinstance(part, Stages):
                stages |= {stage: number for number, stage in part.numbered() if number > 0}
        if not stages:
            raise ValueError(
                "This weighting conditions the stages of the backbone, and there are none. Use weighting=fixed."
            )
        for stage, number in stages.items():
            film = FiLM(specs[number], fixed)
            self.stages.append(film)
            stage.register_forward_hook(film.after_stage)
        for task, head in heads.items():
            if not isinstance(head, TeacherForced):
                film = FiLM(sharing.specs[task], fixed)
                self.heads[task] = film
                head.register_forward_pre_hook(film.before_head)

    @property
    def films(self) -> list[FiLM]:
        """All scales and shifts."""
        return [module for module in self.modules() if isinstance(module, FiLM)]

    def condition(self, vector: Tensor) -> None:
        """Set the vector [T] of the present step of training."""
        for film in self.films:
            film.given = vector.to(film.fixed.device, non_blocking=True)
