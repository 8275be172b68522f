"""Customized gate control."""

from collections.abc import Callable, Sequence

from mtl_cli.batch import Inputs
from mtl_cli.features import run_stages
from mtl_cli.sharing.base import Shared
from mtl_cli.sharing.extraction_base import Extraction, ExtractionLevel


class CGC(Extraction):
    """Shared experts, experts of each task, and one gate per task: g^k(x) = w^k(x)·S^k(x), w^k = softmax(W^k x).

    Source: Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for Personalized
    Recommendations", RecSys 2020, eq. 1–3. Differs from it in that experts are copies of the last stages on a shared
    trunk, and x, for the gate, the trunk's pooled features.

    Args:
        num_shared_experts: experts that all tasks share.
        num_task_experts: experts of each task.
        expert_stages: stages that each expert is a copy of, counted from the end.
        backbone: makes trunk and experts.
        tasks: names of all tasks.

    Raises:
        ValueError: a number of experts is below 1, or `expert_stages` not a number of stages that can be split off.
    """

    def add_levels(self, level: Callable[[int, int], ExtractionLevel], first: int, last: int) -> None:
        """Add one level, whose experts have all of the stages."""
        self.level = level(first, last)

    def forward(self, inputs: Inputs, tasks: Sequence[str], boundary: bool = False) -> Shared:
        """Return each task's mixture of its own and the shared experts.

        The boundary is the shared experts' outputs [B, E, ...] and the trunk's output as tasks read it.
        """
        x = run_stages(self.trunk, inputs)
        return Shared(*self.level.last(x, dict.fromkeys(tasks, x), boundary))
