"""Intervals of metrics over the rows of an evaluation, by the bootstrap.

Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13: the percentile interval. All blocks of a split
are drawn again, with replacement, as many as there are; the metrics of what was drawn are computed anew; the interval
holds the middle 95 % of them. A block is a row, or all rows of a group where groups belong together (the dataset's
`group_column`, the groups of a ranking). Beyond `MAX_BLOCKS` the units are put into so many blocks at random, which are
drawn as a whole: the variance of a mean over units is the same, and memory does not grow with the split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mtl_cli.batch import Split
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import UserError
from mtl_cli.seeding import derive, generator
from mtl_cli.storage import on_disk
from mtl_cli.tasks.base import Task
from mtl_cli.training.part_rows import Parts
from mtl_cli.training.part_states import PartStates

Array = np.ndarray[Any, Any]
LEVEL = 0.95
SEED = 0
"""Of everything random here, whatever the seed of the run is."""
MIN_BLOCKS, MAX_BLOCKS, MAX_PARTS = 200, 1000, 20000
"""Blocks of a dataset; there are fewer where many tasks and groups make more parts than `MAX_PARTS`."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """How the rows of a dataset are drawn again: how often [R, blocks] each block is taken, and what the blocks are."""

    times: torch.Tensor
    unit: str
    """What stays together: "rows", or "groups of COLUMN"."""
    num_units: int

    def record(self) -> dict[str, Any]:
        """Return what is written of it."""
        return {"unit": self.unit, "units": self.num_units, "blocks": self.times.shape[1]}


def blocks_of(
    name: str, source: DataSource, rows: Split, split: str, tasks: Mapping[str, Task], num_groups: int
) -> tuple[torch.Tensor, int, str, int]:
    """Return the block of each row, int32 [N], the number of blocks, what their units are, and the number of these."""
    units, unit = units_of(source, rows, split, tasks)
    total = len(rows) if units is None else int(units.max()) + 1 if len(units) else 0
    most = min(MAX_BLOCKS, max(MIN_BLOCKS, MAX_PARTS // max(1, len(tasks) * num_groups)))
    if total <= most:
        return torch.arange(total).int() if units is None else units.int(), total, unit, total
    place = on_disk.empty((total,), torch.int32)
    torch.randperm(total, generator=generator(SEED, "blocks", name), dtype=torch.int32, out=place)
    place %= most
    return place if units is None else place[units], most, unit, total


def units_of(source: DataSource, rows: Split, split: str, tasks: Mapping[str, Task]) -> tuple[torch.Tensor | None, str]:
    """Return the number of the unit of each row [N], None where each row is one, and what units are."""
    ranked = next((task for task in tasks.values() if task.field.kind == "ranking"), None)
    if ranked is not None:
        groups = torch.cat([part[ranked.target][:, 1] for part in rows.sweep_fields([ranked.target])])
        return numbered(groups.double().numpy()), f"groups of {ranked.name}"
    column = source.group_column
    if column is None:
        return None, "rows"
    try:
        codes = source.column(column, split).codes.astype(float)
    except UserError:  # a file of new rows may lack it
        return None, "rows"
    codes[codes < 0] = np.nan
    return numbered(codes), f"groups of {column}"


def numbered(groups: Array) -> torch.Tensor:
    """Return groups [N] counted from 0; a row whose group is NaN is one of its own."""
    alone = np.isnan(groups)
    own = np.where(alone, 0.0, groups)
    own[alone] = (own.max() if len(own) else 0.0) + 1 + np.arange(alone.sum())
    return torch.from_numpy(np.unique(own, return_inverse=True)[1].reshape(-1).astype(np.int64))


def drawing(name: str, parts: Parts, unit: str, num_units: int, resamples: int) -> Drawing:
    """Return how the rows of a dataset are drawn again."""
    blocks = parts.num_blocks
    stream = np.random.default_rng(derive(SEED, "bootstrap", name))
    times = stream.multinomial(blocks, np.full(blocks, 1.0 / max(1, blocks)), size=resamples)
    return Drawing(torch.from_numpy(times).double(), unit, num_units)


def interval(replicates: Array) -> Interval | None:
    """Return the middle 95 % of replicates; None where they are all alike, or where most have no value.

    Where no resample differs, such as with no error among the rows, the bootstrap says nothing of the rows unseen.
    """
    known = replicates[~np.isnan(replicates)]
    if len(known) < max(2, len(replicates) // 2):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return None if low == high else (float(f"{low:.7g}"), float(f"{high:.7g}"))


def task_intervals(
    states: Mapping[str, PartStates], drawings: Mapping[str, Drawing], groups: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Interval | None]]:
    """Return the interval of every metric by task, and by group of tasks, whose means are those of its tasks.

    `drawings` are by task; tasks of one dataset share theirs, so that their rows are drawn together.
    """
    drawn = {
        name: state.replicates(drawings[name].times, range(state.parts.num_groups)) for name, state in states.items()
    }
    for group, tasks in groups.items():
        members = [drawn[task] for task in tasks if task in drawn]
        drawn[group] = {
            metric: mean_of([member[metric] for member in members if metric in member])
            for metric in dict.fromkeys(name for member in members for name in member)
        }
    return {name: {metric: interval(values) for metric, values in each.items()} for name, each in drawn.items()}


def mean_of(replicates: Sequence[Array]) -> Array:
    """Return the mean over tasks of replicates, as far as all have some."""
    size = min(map(len, replicates))
    values = np.stack([each[:size] for each in replicates])
    counts = (~np.isnan(values)).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)


def method_record(drawings: Mapping[str, Drawing], resamples: int) -> dict[str, Any]:
    """Return how intervals were made, by dataset."""
    return {
        "method": "percentile bootstrap",
        "level": LEVEL,
        "resamples": resamples,
        "seed": SEED,
        "drawn": {name: each.record() for name, each in drawings.items()},
    }


def flat_intervals(found: Mapping[str, Mapping[str, Interval | None]]) -> dict[str, list[float] | None]:
    """Return every interval under "<task>/<metric>"."""
    return {
        f"{task}/{metric}": None if ends is None else list(ends)
        for task, each in found.items()
        for metric, ends in each.items()
    }
