"""Labels of the tasks in the micro-batches of a step, counted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from mtl_cli.batch import Batch, StackCounts
from mtl_cli.tasks.stack_base import TaskStack

Counts = Mapping[str, Mapping[str, int]]
"""The labels of a micro-batch by task, under their dataset."""


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


def count_labels(micro_batches: Sequence[Counts]) -> dict[str, int]:
    """Return the labels of each task over the micro-batches of a step."""
    totals: dict[str, int] = {}
    for datasets in micro_batches:
        for counts in datasets.values():
            for task, count in counts.items():
                totals[task] = totals.get(task, 0) + count
    return totals


def of_row(counts: StackCounts, row: int) -> int:
    """Return the labels of one task of a stack."""
    return counts if isinstance(counts, int) else int(counts[row])
