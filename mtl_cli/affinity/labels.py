"""How the labels of the tasks hang together, before any training."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from mtl_cli.init.association import Association, Labels, associate
from mtl_cli.runs.data import Data
from mtl_cli.tasks.base import Task

MAX_ROWS = 200_000
"""Training rows that are looked at."""


@dataclass(frozen=True)
class LabelPair:
    """Two tasks of one dataset, and how their labels hang together."""

    one: str
    other: str
    found: Association


def labels_of(data: Data, task: Task) -> Labels | None:
    """Return the training labels of a task as a column; None where they are not one number or class per row."""
    rows = data.sources[data.dataset_of[task.name]].full_split("train")
    parts, number = [], 0
    for fields in rows.sweep_fields([task.target]):
        parts.append(fields[task.target])
        number += len(parts[-1])
        if number >= MAX_ROWS:
            break
    values = torch.cat(parts)[:MAX_ROWS] if all(part.ndim == 1 for part in parts) else None
    if values is None:
        return None
    if values.is_floating_point():
        return Labels.of_numbers(values.double().numpy())
    return Labels(values.clamp(min=-1).numpy())


def label_pairs(data: Data, tasks: Mapping[str, Task]) -> list[LabelPair]:
    """Return what is known of each pair of tasks of one dataset with a number or class per row."""
    columns = {name: labels for name, task in tasks.items() if (labels := labels_of(data, task)) is not None}
    pairs = itertools.combinations(columns, 2)
    same = [(one, other) for one, other in pairs if data.dataset_of[one] == data.dataset_of[other]]
    return [LabelPair(one, other, associate(columns[one], columns[other])) for one, other in same]
