"""Progressive layered extraction."""

from collections.abc import Sequence

from torch import nn

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.batch import Inputs
from mtl_cli.features import run_stages
from mtl_cli.sharing.base import Shared, Sharing
from mtl_cli.sharing.expert_base import ExtractionLevel, count_problems, split_point


class PLE(Sharing):
    """Levels of shared and task experts, one per stage: g^{k,j}(x) = w^{k,j}(g^{k,j−1}(x))·S^{k,j}(x).

    Source: Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for Personalized
    Recommendations", RecSys 2020, section 4.2 (eq. 4–6). Below the last level a shared gate mixes the experts of all
    tasks, so these run for every batch there; at the last level only those of the batch's tasks do. Differs from it in
    that an expert is one stage of the backbone, and a gate's input pooled features. With one level it is CGC.

    Args:
        num_shared_experts: experts of a level that all tasks share.
        num_task_experts: experts of a level for each task.
        expert_stages: levels, one for each of the last stages.
        backbone: makes trunk and experts.
        tasks: names of all tasks.

    Raises:
        ValueError: a number of experts is below 1, or `expert_stages` not a number of stages that can be split off.
    """

    has_boundary = True

    def __init__(
        self,
        num_shared_experts: int,
        num_task_experts: int,
        expert_stages: int,
        *,
        backbone: BackboneFactory,
        tasks: Sequence[str],
    ) -> None:
        super().__init__()
        problems = count_problems(num_shared_experts=num_shared_experts, num_task_experts=num_task_experts)
        split = split_point(backbone.specs, expert_stages, problems)

        def level(stage: int) -> ExtractionLevel:
            return ExtractionLevel(
                build=lambda copy: backbone(copy, start=stage, stop=stage),
                seeded=backbone.seeded,
                name=backbone.names[stage],
                width=backbone.specs[stage - 1].width,
                tasks=tasks,
                num_shared=num_shared_experts,
                num_own=num_task_experts,
                is_last=stage == backbone.num_stages,
            )

        self.tasks = list(tasks)
        self.trunk = backbone(stop=split)
        self.levels = nn.ModuleList(level(stage) for stage in range(split + 1, backbone.num_stages + 1))
        self.specs = dict.fromkeys(tasks, backbone.specs[-1])

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's mixture at the last level.

        The boundary is the last level's shared experts [B, E, ...] and its inputs as the tasks read them.
        """
        shared = run_stages(self.trunk, inputs)
        *lower, last = self.levels
        assert isinstance(last, ExtractionLevel)
        own = dict.fromkeys(self.tasks if lower else tasks, shared)
        for index, level in enumerate(lower):
            below_last = index == len(lower) - 1
            output = level(shared, own, tasks if below_last else self.tasks)
            shared, own = output.shared, output.own
        return Shared(*last.last(shared, own, boundary))
