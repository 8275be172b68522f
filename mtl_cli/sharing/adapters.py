"""Low-rank adapters of each task on one trunk."""

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.errors import UserError
from mtl_cli.features import Features
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.expert_base import count_problems
from mtl_cli.sharing.low_rank_base import LowRankShift, matrices, recurrent_weights

FEWER = (
    "it lacks adapters, as those of versions before 0.2.0 do, in which recurrent layers and attention had none. Train "
    "that run again."
)


class Adapters(Sharing):
    """One trunk whose weights each task shifts by a low-rank product: Wₜ = W₀ + (α/r)·BₜAₜ.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, eq. 3. B starts at 0, so that
    at the start it equals hard sharing (apart from dropout, whose masks are drawn for each task). Differs from it in
    one pair (A, B) per task; in adapting every weight of linear, convolution, attention and recurrent layers (of a
    convolution A is one to r channels, B a 1×1 convolution; with groups, a low-rank shift of the grouped filters; Q, K
    and V of one matrix, and the gates of a recurrent layer, have one pair); in A ~ N(0, 1/fan_in); and in that the
    trunk is trained too, unless `freeze_trunk` keeps it as it is. Frozen from a random start it would learn little:
    LoRA's trunk is pretrained (`init_from=RUN` or `backbone=hf`).

    The trunk runs once for each task of a batch. A BatchNorm in it sees every task's features in turn.

    Args:
        rank: r.
        alpha: α.
        freeze_trunk: train adapters and heads only; nothing is shared then that could be balanced.
        backbone: makes the trunk.
        tasks: names of all tasks.

    Raises:
        ValueError: `rank` is below 1, `alpha` not a positive number, or there is no layer to adapt.
    """

    runs_whole_modules = False

    def __init__(
        self, rank: int, alpha: float, freeze_trunk: bool, *, backbone: BackboneFactory, tasks: Sequence[str]
    ) -> None:
        super().__init__()
        problems = count_problems(rank=rank)
        if not (math.isfinite(alpha) and alpha > 0):
            problems.append(f"sharing.alpha is {alpha}; a scale is a finite number > 0. Use sharing.alpha=4.0.")
        if problems:
            raise UserError(problems)
        self.trunk = backbone()
        self.trunk.requires_grad_(not freeze_trunk)
        self.scale = alpha / rank
        adapted = {task: adaptable(backbone(tasks=[task])) for task in tasks}
        if not all(adapted.values()):
            raise ValueError(
                "The backbone has no weight to adapt: no linear, convolution, attention or recurrent layer. "
                "Use sharing=hard."
            )
        self.adapters = NamedModules()
        for task, names in adapted.items():
            with backbone.seeded(f"adapters/{task}"):
                shapes = [self.trunk.get_parameter(name).shape for name in names]
                shifts = [LowRankShift(each, torch.randn(rank, each[1:].numel())) for each in shapes]
            self.adapters[task] = Shifts(names, shifts)
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's features, from a run of the trunk under its own weights."""
        return Shared({task: self._run(inputs, self._weights(task)) for task in tasks})

    def state_problem(self, names: Collection[str]) -> str | None:
        """Return that some adapters of a task are missing, whose numbers then are those of other weights."""
        lacks: dict[str, set[bool]] = {}
        for name in self.state_dict():
            part, *rest = name.split(".")
            if part == "adapters":
                lacks.setdefault(rest[0], set()).add(name not in names)
            elif name not in names:
                return None
        return FEWER if {True, False} in lacks.values() else None

    def _run(self, inputs: Inputs, weights: dict[str, Tensor]) -> Features:
        with recurrent_weights(self.trunk, weights):
            return functional_call(self.trunk, weights, (inputs,))

    def _weights(self, task: str) -> dict[str, Tensor]:
        shifts: dict[str, Tensor] = self.adapters[task]()
        return {name: self.trunk.get_parameter(name) + self.scale * shift for name, shift in shifts.items()}


class Shifts(nn.ModuleList):
    """The low-rank shifts of one task, for the weights of the given names."""

    def __init__(self, names: Sequence[str], shifts: Sequence[LowRankShift]) -> None:
        super().__init__(shifts)
        self.names = list(names)

    def forward(self) -> dict[str, Tensor]:
        """Return the shift of each weight by its name."""
        return {name: shift() for name, shift in zip(self.names, self, strict=True)}


def adaptable(stages: nn.Sequential) -> list[str]:
    """Return the names of the weights of all linear, convolution, attention and recurrent layers."""
    return [f"{name}.{weight}" for name, layer in stages.named_modules() for weight in matrices(layer)]
