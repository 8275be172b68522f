"""What an evaluation says beside the metrics of a split: their intervals, and the metrics of groups of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from mtl_cli.batch import Split
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import UserError
from mtl_cli.runs.statistics.asked import Asked
from mtl_cli.runs.statistics.fairness import FEW, Compared, compare
from mtl_cli.runs.statistics.resampling import (
    Drawing,
    Interval,
    blocks_of,
    drawing,
    method_record,
    task_intervals,
)
from mtl_cli.runs.statistics.row_groups import RowGroups, row_groups
from mtl_cli.tasks.base import Task
from mtl_cli.training.loading import Stream
from mtl_cli.training.part_rows import Parts
from mtl_cli.training.parts import PartMeters


@dataclass(frozen=True)
class Statistics:
    """Intervals by task or group of tasks and metric, how they were made, and what groups of rows have."""

    intervals: Mapping[str, Mapping[str, Interval | None]] = field(default_factory=dict)
    method: Mapping[str, Any] | None = None
    compared: Compared | None = None
    cautions: Sequence[str] = ()


class RowStatistics:
    """Watches an evaluation of a split, and says in the end what it found.

    Args:
        asked: what is asked for; nothing is watched where that is nothing.
        streams: the batches of the split by dataset.
        split: "train", "val", "test" or "input", as the datasets name it.

    Raises:
        UserError: no dataset has a column that is asked for, or it has too many values.
    """

    def __init__(
        self,
        asked: Asked,
        sources: Mapping[str, DataSource],
        streams: Mapping[str, Stream],
        split: str,
        tasks: Mapping[str, Task],
        device: torch.device,
    ) -> None:
        self._tasks = tasks
        self._resamples = asked.resamples
        self._groups: dict[str, RowGroups] = {}
        self._drawings: dict[str, Drawing] = {}
        self._dataset_of = {task: name for name, stream in streams.items() for task in stream.targets}
        self._cautions: list[str] = []
        self.meters: PartMeters | None = None
        if not asked.resamples:
            return
        rows = {name: stream.rows for name, stream in streams.items()}
        if asked.by:
            self._groups = grouped(asked.by, sources, rows, split)
            self._cautions += [
                f"dataset {name} has no column {', '.join(asked.by)}." for name in rows if name not in self._groups
            ]
        parts = {}
        for name, each in rows.items():
            own = {task: tasks[task] for task in streams[name].targets}
            groups = self._groups.get(name, RowGroups(torch.zeros(1, dtype=torch.int32).expand(len(each)), 1, []))
            block, number, unit, units = blocks_of(name, sources[name], each, split, own, groups.number)
            parts[name] = Parts(block, groups.of_row, number, groups.number)
            self._drawings[name] = drawing(name, parts[name], unit, units, asked.resamples)
        self.meters = PartMeters(tasks, parts, device)

    def found(self, groups: Mapping[str, Sequence[str]]) -> Statistics:
        """Return what was found, also of the means of groups of tasks."""
        if self.meters is None:
            return Statistics()
        states = self.meters.states()
        drawings = {name: self._drawings[self._dataset_of[name]] for name in states}
        intervals = task_intervals(states, drawings, groups)
        method = method_record(self._drawings, self._resamples)
        if not self._groups:
            return Statistics(intervals, method)
        compared, cautions = Compared([], []), list(self._cautions)
        for name, state in states.items():
            own = self._groups.get(self._dataset_of[name])
            for grouping in own.groupings if own else ():
                assert own is not None
                counts = torch.bincount(own.of_row, minlength=own.number)
                rows = {group: int(counts[finest].sum()) for group, finest in grouping.groups.items()}
                one = compare(self._tasks[name], state, grouping, rows, drawings[name])
                compared.groups.extend(one.groups)
                compared.gaps.extend(one.gaps)
                few = [group for group, number in rows.items() if number < FEW]
                if few:
                    cautions.append(f"{grouping.by}: fewer than {FEW} rows of {', '.join(few)}, which say little.")
        return Statistics(intervals, method, compared, list(dict.fromkeys(cautions)))


def grouped(
    by: Sequence[str], sources: Mapping[str, DataSource], rows: Mapping[str, Split], split: str
) -> dict[str, RowGroups]:
    """Return the groups of each dataset that has all columns.

    Raises:
        UserError: no dataset has them.
    """
    found, problems = {}, list[str]()
    for name, each in rows.items():
        try:
            columns = {column: sources[name].column(column, split) for column in by}
        except UserError as error:
            problems += error.problems
            continue
        for column in columns.values():
            assert len(column.codes) == len(each), "a cell for each row"
        found[name] = row_groups(columns)
    if not found:
        raise UserError(list(dict.fromkeys(problems)))
    return found
