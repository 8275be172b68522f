"""Multi-gate mixture of experts."""

from collections.abc import Sequence

from torch import nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import Boundary, pool, run_stages
from mtl_cli.layers.named_modules import NamedModules
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.expert_base import Gate, count_problems, run_experts, split_point


class MMoE(Sharing):
    """Experts that all tasks share and a gate per task: f^k(x) = Σₑ g^k(x)ₑ fₑ(x), g^k(x) = softmax(W^k x).

    Source: Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts",
    KDD 2018, eq. 5–7. Differs from it in that experts are copies of the last stages on a shared trunk, and x, for the
    gate, the trunk's pooled features. With one expert it is hard sharing.

    Args:
        num_experts: E.
        expert_stages: stages that each expert is a copy of, counted from the end.
        backbone: makes trunk and experts.
        tasks: names of all tasks.

    Raises:
        ValueError: `num_experts` is below 1, or `expert_stages` not a number of stages that can be split off.
    """

    has_boundary = True

    def __init__(
        self, num_experts: int, expert_stages: int, *, backbone: BackboneFactory, tasks: Sequence[str]
    ) -> None:
        super().__init__()
        split = split_point(backbone.specs, expert_stages, count_problems(num_experts=num_experts))
        self.trunk = backbone(stop=split)
        self.experts = nn.ModuleList(backbone(str(e), start=split + 1) for e in range(num_experts))
        self.gates = NamedModules()
        for task in tasks:
            with backbone.seeded(f"gates/{task}"):
                self.gates[task] = Gate(backbone.specs[split].width, num_experts)
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's mixture; the boundary is the experts' outputs [B, E, ...] and the gates' input [B, D]."""
        x = run_stages(self.trunk, inputs)
        cut = Boundary(boundary)
        experts = run_experts(self.experts, x).handed_over(cut)
        pooled = cut.hand_over(pool(x))
        return Shared({task: experts.mix(self.gates[task](pooled)) for task in tasks}, cut.tensors)
