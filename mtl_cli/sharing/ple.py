"""Progressive layered extraction."""

from collections.abc import Callable, Sequence

from torch import nn

from mtl_cli.batch import Inputs
from mtl_cli.features import run_stages
from mtl_cli.sharing.base import Shared
from mtl_cli.sharing.extraction_base import Extraction, ExtractionLevel


class PLE(Extraction):
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

    def add_levels(self, level: Callable[[int, int], ExtractionLevel], first: int, last: int) -> None:
        """Add one level per stage."""
        self.levels = nn.ModuleList(level(stage, stage) for stage in range(first, last + 1))

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
