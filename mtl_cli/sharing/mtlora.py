"""Multi-task low-rank adaptation."""

import math
from collections.abc import Sequence

from torch import nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.errors import UserError
from mtl_cli.features import Boundary, Stages
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.expert_base import count_problems
from mtl_cli.sharing.low_rank_base import LowRankShifts, biases, matrices, weight_names


class MTLoRA(Sharing):
    """A frozen trunk with low-rank shifts that all tasks share below and shifts of each task in its last stages.

    Wˢ = W₀ + scale · BˢAˢ in the stages below, which run once, and Wₜ = W₀ + scale · BₜAₜ in the last `task_stages`
    stages, which run once per task. B starts at 0, so that at the start it equals hard sharing (apart from dropout).

    Source: Agiza, Neseem & Reda, "MTLoRA: A Low-Rank Adaptation Approach for Efficient Multi-Task Learning", CVPR 2024:
    task-agnostic modules (TA-LoRA) and task-specific ones (TS-LoRA), with the scales of the authors' code. As there,
    norms and the stem are trained (`freeze_trunk` freezes the weights that have an adapter, and their biases), and the
    weights of queries, keys and values are adapted as one.
    Differs from it in that the features of a task are those of the last stage only, where the paper's decoders read
    every stage; that the shared path through the last stages, which no head would read, does not run; that there is no
    dropout on what the adapters read; and that convolutions and recurrent layers are adapted too.

    The frozen weights are those that the backbone starts with: take pretrained ones (`backbone=hf` or `init_from`), or
    train them too (`sharing.freeze_trunk=false`).

    Args:
        shared_rank: rank of the shifts that all tasks share.
        task_rank: rank of the shifts of each task.
        task_stages: stages, counted from the end, that have the shifts of each task; those without weights to adapt
            do not count.
        scale: factor of all shifts.
        freeze_trunk: train the shifts and what has none, such as norms, the stem and heads.
        backbone: makes the trunk.
        tasks: names of all tasks.

    Raises:
        ValueError: an argument is out of its range, or the backbone has no weight to adapt.
    """

    runs_whole_modules = False
    has_boundary = True

    def __init__(
        self,
        shared_rank: int,
        task_rank: int,
        task_stages: int,
        scale: float,
        freeze_trunk: bool,
        *,
        backbone: BackboneFactory,
        tasks: Sequence[str],
    ) -> None:
        super().__init__()
        stages = backbone()
        adaptable = sorted({int(name.split(".")[0]) for name in weight_names(stages)})  # numbers of stages
        if problems := setting_problems(shared_rank, task_rank, task_stages, scale, len(adaptable)):
            raise UserError(problems)
        split = adaptable[-task_stages]
        self.scale = scale
        self.trunk, self.top = Stages(*list(stages)[:split]), Stages(*list(stages)[split:], first=split)
        with backbone.seeded("shared"):
            self.shared = LowRankShifts(self.trunk, weight_names(self.trunk), shared_rank)
        self.own = NamedModules()
        for task in tasks:
            with backbone.seeded(f"own/{task}"):
                self.own[task] = LowRankShifts(self.top, weight_names(self.top), task_rank)
        if freeze_trunk:
            freeze_adapted([*list(self.trunk)[1:], *self.top])
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's features; the boundary is what the last stages read."""
        cut = Boundary(boundary)
        x = cut.hand_over_features(self.shared.run(self.trunk, inputs, self.scale))
        features = {}
        for task in tasks:
            own = self.own[task]
            assert isinstance(own, LowRankShifts)
            features[task] = own.run(self.top, x, self.scale)
        return Shared(features, cut.tensors)


def freeze_adapted(stages: Sequence[nn.Module]) -> None:
    """Train no more the weights that can be adapted, nor the biases of their layers."""
    for layer in (layer for stage in stages for layer in stage.modules()):
        for parameter in [*(layer.get_parameter(name) for name in matrices(layer)), *biases(layer)]:
            parameter.requires_grad_(False)


def setting_problems(shared_rank: int, task_rank: int, task_stages: int, scale: float, stages: int) -> list[str]:
    """Return what is wrong with the arguments of `MTLoRA`."""
    problems = count_problems(shared_rank=shared_rank, task_rank=task_rank)
    if stages == 0:
        problems.append("No stage of this backbone has a weight to adapt. Use sharing=hard.")
    elif not 1 <= task_stages <= stages:
        problems.append(
            f"sharing.task_stages is {task_stages}; {stages} stages of this backbone have weights to adapt. "
            "Use sharing.task_stages=1."
        )
    if not (math.isfinite(scale) and scale > 0):
        problems.append(f"sharing.scale is {scale}; a scale is a finite number > 0. Use sharing.scale=4.0.")
    return problems
