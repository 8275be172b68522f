"""Labels of the tasks in the micro-batches of a step, counted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.batch import Batch, StackCounts, labelled_tasks
from mtl_cli.tasks.stack_base import TaskStack
from mtl_cli.training.learner import Learner

Counts = Mapping[str, Mapping[str, int]]
"""The labels of a micro-batch by task, under their dataset."""


class StepLabels:
    """How many labels the tasks have in a step: in its draws, and in all of it.

    `counts[draw][number]` are those that the ranks have in their micro-batches of this number, `batches[draw][number]`
    the batches of this rank.
    """

    def __init__(
        self,
        learner: Learner,
        counts: Sequence[Sequence[Counts]],
        batches: Sequence[Sequence[Mapping[str, Batch]]],
    ) -> None:
        self._learner = learner
        self._draws = [count_labels(part) for part in counts]
        self.totals = {task: sum(draw.get(task, 0) for draw in self._draws) for task in learner.apart}
        """The labels of each task that is computed on its own."""
        if learner.ranks.alone:
            self._stack_draws = [count_stacks(draw) for draw in batches]
        else:
            self._stack_draws = [stacked_counts(learner.stacks, draw) for draw in self._draws]
        self.stack_totals = sum_counts(self._stack_draws)
        """Those of tasks that are computed as one, by the stack's name."""
        self.tasks = self._present()
        """The tasks that have a label, in their fixed order."""

    def _present(self) -> tuple[str, ...]:
        learner = self._learner
        apart = [task for task, total in self.totals.items() if total]
        if not learner.stacks:
            return tuple(apart)
        stacks = [labelled_tasks(learner.stacks[key].names, totals) for key, totals in self.stack_totals.items()]
        if len(apart) + sum(map(len, stacks)) == len(learner.names):
            return learner.names
        present = {task for some in (apart, *stacks) for task in some}
        return tuple(task for task in learner.names if task in present)

    @property
    def absent_rows(self) -> list[tuple[tuple[str, ...], Tensor]]:
        """The rows, on the host, of tasks without a label in stacks that take part, by the names of their tasks."""
        return [
            (self._learner.stacks[key].names, (totals == 0).nonzero()[:, 0])
            for key, totals in self.stack_totals.items()
            if isinstance(totals, Tensor) and not bool(totals.all())
        ]

    def share(self, task: str, draw: int) -> float:
        """Return the part of the step's labels of a task that a draw holds."""
        if task in self.totals:
            return self._draws[draw].get(task, 0) / self.totals[task]
        stack, row = self._learner.rows[task]
        own = self._stack_draws[draw].get(stack, 0)
        return of_row(own, row) / of_row(self.stack_totals[stack], row)


def count_stacks(batches: Sequence[Mapping[str, Batch]]) -> dict[str, StackCounts]:
    """Return the labels of tasks that are computed as one over the batches of a draw, by the stack's name."""
    return sum_counts(
        {key: target.counts for key, target in batch.stacks.items()} for each in batches for batch in each.values()
    )


def stacked_counts(stacks: Mapping[str, TaskStack[Any]], counts: Mapping[str, int]) -> dict[str, StackCounts]:
    """Return the labels of the stacks that have any, by the stack's name, from the labels of each task."""
    found = {key: torch.tensor([counts.get(task, 0) for task in stack.names]) for key, stack in stacks.items()}
    return {key: each for key, each in found.items() if bool(each.any())}


def sum_counts(parts: Iterable[Mapping[str, StackCounts]]) -> dict[str, StackCounts]:
    """Return labels, by the stack's name, added up."""
    totals: dict[str, StackCounts] = {}
    for part in parts:
        for key, counts in part.items():
            totals[key] = totals[key] + counts if key in totals else counts
    return totals


def of_row(counts: StackCounts, row: int) -> int:
    """Return the labels of one task of a stack."""
    return counts if isinstance(counts, int) else int(counts[row])


def count_labels(micro_batches: Sequence[Counts]) -> dict[str, int]:
    """Return the labels of each task over the micro-batches of a step."""
    totals: dict[str, int] = {}
    for datasets in micro_batches:
        for counts in datasets.values():
            for task, count in counts.items():
                totals[task] = totals.get(task, 0) + count
    return totals
