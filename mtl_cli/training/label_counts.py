"""Labels of the tasks in the micro-batches of a step, counted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_cli.batch import Batch
from mtl_cli.tasks.stack_base import TaskStack

Counts = Mapping[str, Mapping[str, int]]
"""The labels of a micro-batch by task, under their dataset."""


def count_stacks(batches: Sequence[Mapping[str, Batch]]) -> dict[str, Tensor]:
    """Return the labels [T] of tasks that are computed as one over the batches of a draw, by the stack's name."""
    return sum_counts(
        {key: target.counts for key, target in batch.stacks.items()} for each in batches for batch in each.values()
    )


def stacked_counts(stacks: Mapping[str, TaskStack[Any]], counts: Mapping[str, int]) -> dict[str, Tensor]:
    """Return the labels [T] of the stacks that have any, by the stack's name, from the labels of each task."""
    found = {key: torch.tensor([counts.get(task, 0) for task in stack.names]) for key, stack in stacks.items()}
    return {key: each for key, each in found.items() if bool(each.any())}


def sum_counts(parts: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return labels [T], by the stack's name, added up."""
    totals: dict[str, Tensor] = {}
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
