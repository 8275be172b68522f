"""Rows whose label needs more positions than their sequence has, such as transcripts of clips that are too short."""

import logging
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mtl_cli.batch import Split
from mtl_cli.datasets.base import SPLITS
from mtl_cli.errors import UserError
from mtl_cli.features import FeatureSpec
from mtl_cli.runs.data import Data
from mtl_cli.tasks.base import Task

logger = logging.getLogger("mtl_cli")
SHOWN = 8
"""Rows that a message lists."""


def check_lengths(tasks: Mapping[str, Task], specs: Mapping[str, FeatureSpec], data: Data) -> None:
    """Refuse training rows that do not fit; in the other splits, and with `skip_unfit`, they are counted in the log.

    Args:
        tasks: all tasks.
        specs: what each task's head reads, of the examples of `data`.
        data: the datasets.

    Raises:
        UserError: training rows do not fit; the first of each task are named.
    """
    problems = []
    for name, task in tasks.items():
        source = data.sources[data.dataset_of[name]]
        inputs = data.examples[data.dataset_of[name]].values
        if type(task).fewest_positions is Task.fewest_positions or isinstance(inputs, Tensor):
            continue
        joined = inputs["mask"].shape[1] / specs[name].shape[0]
        for split in SPLITS:
            shortens = source.augmentation.shortens if split == "train" and source.augmentation else 1.0
            rows = source.full_split(split)
            found = unfit(task, rows, joined, shortens)
            if not found:
                continue
            told = message(name, split, found, len(rows))
            if split == "train" and task.weight > 0 and not task.skip_unfit:
                problems.append(f"{told}. {advice(name, joined, shortens)}")
            else:
                logger.warning("%s; they have no part in the loss.", told)
    if problems:
        raise UserError(problems)


def unfit(task: Task, rows: Split, joined: float, shortens: float) -> list[str]:
    """Return the rows of a split that do not fit, in words; `joined` positions of the input become one."""
    if rows.lengths is None:
        return []
    found, start = [], 0
    for labels in rows.sweep_fields([task.target]):
        target = labels[task.target]
        needed = task.fewest_positions(target)
        assert needed is not None, "the task has a limit"
        lengths = rows.lengths[start : start + len(target)]
        there = torch.floor(lengths / shortens).div(joined).ceil()
        bad = (task.labelled_rows(target) & (needed > there)).nonzero().flatten().tolist()
        found += [f"{rows.named(start + row)} ({int(needed[row])} in {int(there[row])})" for row in bad]
        start += len(target)
    return found


def message(name: str, split: str, found: list[str], rows: int) -> str:
    """Return which rows do not fit."""
    shown = "; ".join(found[:SHOWN]) + (f"; … ({len(found)} in all)" if len(found) > SHOWN else "")
    return (
        f"tasks.{name}: {len(found)} of {rows} {split} rows have a label that needs more positions than their sequence "
        f"has: {shown}"
    )


def advice(name: str, joined: float, shortens: float) -> str:
    """Return what may be done about rows that do not fit."""
    ways = [f"backbone.subsampling={max(1, math.ceil(joined) // 2)}"] if joined > 1 else []
    ways += [f"tasks.{name}.dataset.speed=null"] if shortens > 1 else []
    return f"Use {' or '.join([*ways, f'tasks.{name}.skip_unfit=true'])}, which leaves them out of the loss."
