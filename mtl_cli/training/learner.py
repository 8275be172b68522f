"""What every step of a run has in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from mtl_cli.model.multi_task_model import MultiTaskModel
from mtl_cli.ranks.batch_norm import BatchNorms
from mtl_cli.ranks.ranks import ALONE, Ranks
from mtl_cli.ranks.strategy import WHOLE, Strategy
from mtl_cli.report.spans import Spans
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.training.arithmetic import Arithmetic
from mtl_cli.weightings.step_base import Partition


@dataclass(frozen=True)
class Learner:
    """What every step of a run has in common: the model, its trained tasks and how it is run."""

    model: MultiTaskModel
    tasks: Mapping[str, Task]
    partition: Partition
    arithmetic: Arithmetic
    seed: int
    spans: Spans = field(default_factory=Spans)
    stacks: Mapping[str, TaskStack[Any]] = field(default_factory=dict)
    """Those of the tasks that are computed as one, by the stack's name in a batch."""
    ranks: Ranks = ALONE
    norms: BatchNorms | None = None
    """The batch norms of a model that several ranks train."""
    strategy: Strategy = WHOLE
    """How the ranks hold the model."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The trained tasks, in their fixed order."""
        return tuple(self.tasks)

    @cached_property
    def apart(self) -> tuple[str, ...]:
        """The trained tasks that are computed on their own."""
        stacked = {name for stack in self.stacks.values() for name in stack.names}
        return tuple(task for task in self.tasks if task not in stacked)

    @cached_property
    def rows(self) -> dict[str, tuple[str, int]]:
        """Stack and row of the tasks that are computed as one."""
        return {task: (key, row) for key, stack in self.stacks.items() for row, task in enumerate(stack.names)}

    @cached_property
    def trained(self) -> list[nn.Parameter]:
        """The model's trained parameters: walking through the modules for them takes 50 µs a step."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]
