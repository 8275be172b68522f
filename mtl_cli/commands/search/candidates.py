"""The complete trials of a search: what they have reached for each task, which are on the Pareto front, which wins."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.commands.search.ledger import Entry
from mtl_cli.commands.search.options import PREFERENCE, WORST_TASK, SearchOptions
from mtl_cli.commands.search.space import Space
from mtl_cli.files import read_json


@dataclass(frozen=True)
class TaskScore:
    """The primary metric of a task on validation data, and its gain over the trivial predictor."""

    metric: str
    value: float
    lower_is_better: bool
    gain: float

    @property
    def score(self) -> float:
        """The metric such that higher is better."""
        return -self.value if self.lower_is_better else self.value


@dataclass(frozen=True)
class Candidate:
    """A complete trial."""

    number: int
    values: Mapping[str, str]
    score: float
    tasks: Mapping[str, TaskScore]
    runs: tuple[Path, ...]

    @property
    def gains(self) -> list[float]:
        """The gains of the tasks that have one."""
        return [each.gain for each in self.tasks.values() if not math.isnan(each.gain)]


def candidate_of(directory: Path, entry: Entry, space: Space) -> Candidate:
    """Return what the runs of a complete trial have left."""
    assert entry.score is not None
    runs = tuple(directory / name for name in entry.runs)
    return Candidate(entry.number, space.values(entry.point), entry.score, task_scores(runs), runs)


def task_scores(runs: Sequence[Path]) -> dict[str, TaskScore]:
    """Return the scores of the tasks, means over the runs; empty where a run did not leave them."""
    records = [read_json(run / "summary.json").get("primary") for run in runs]
    if not all(isinstance(record, dict) for record in records):
        return {}
    return {name: mean_score([record[name] for record in records if record]) for name in records[0] or {}}


def mean_score(records: Sequence[Mapping[str, Any]]) -> TaskScore:
    """Return the mean of a task's records in some summaries."""

    def mean(key: str) -> float:
        values = [record.get(key) for record in records]
        return sum(float(value) if isinstance(value, int | float) else math.nan for value in values) / len(values)

    return TaskScore(str(records[0]["metric"]), mean("value"), bool(records[0]["lower_is_better"]), mean("gain"))


def pareto_front(candidates: Sequence[Candidate]) -> list[int]:
    """Return the numbers of the trials that no other beats: as good for every task, and better for one.

    A trial without scores of its tasks is not on it.
    """
    points = {each.number: [task.score for task in each.tasks.values()] for each in candidates if each.tasks}
    known = {at: point for at, point in points.items() if not any(map(math.isnan, point))}
    return [at for at, point in known.items() if not any(dominates(other, point) for other in known.values())]


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether scores, higher is better, are at least as good everywhere and better somewhere."""
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def choose(candidates: Sequence[Candidate], options: SearchOptions) -> Candidate:
    """Return the winner; of equals, the first."""

    def merit(each: Candidate) -> tuple[float, float]:
        if options.choose == WORST_TASK:
            return min(each.gains, default=-math.inf), each.score
        if options.choose == PREFERENCE and options.preference is not None:
            pairs = zip(options.preference, each.tasks.values(), strict=True)
            known = [(weight, task.gain) for weight, task in pairs if not math.isnan(task.gain)]
            return sum(weight * gain for weight, gain in known) if known else -math.inf, each.score
        return each.score, 0.0

    return max(candidates, key=merit)
