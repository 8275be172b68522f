"""What a search has found: the tables, the Pareto front, and the trial that wins."""

import csv
import dataclasses
import io
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.commands.search.ledger import Entry
from mtl_cli.commands.search.options import PREFERENCE, WORST_TASK, SearchOptions
from mtl_cli.commands.search.space import Space
from mtl_cli.commands.search.trial import title
from mtl_cli.commands.sweeps.table import SweepRow, row
from mtl_cli.commands.sweeps.table import report as report_rows
from mtl_cli.errors import EXIT_DONE, EXIT_FAILURE
from mtl_cli.files import read_json, write_json, write_text
from mtl_cli.report.tables import number, table

logger = logging.getLogger("mtl_cli")
FILE = "search.json"


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


def report(
    directory: Path, entries: Sequence[Entry], space: Space, options: SearchOptions
) -> tuple[int, Candidate | None]:
    """Write and print what the trials have shown; return the exit code, and the winner where there is one."""
    rows = {item.directory: item for entry in entries for item in rows_of(directory, entry, space)}
    report_rows(directory, list(rows.values()))
    states = [entry.state for entry in entries]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    logger.info("%d trials: %s", len(entries), counts)
    candidates = [candidate_of(directory, entry, space) for entry in entries if entry.state == "complete"]
    if "running" in states:
        logger.warning("Other processes still work at trials. The last one to end tells the winner.")
        return EXIT_DONE, None
    if not candidates:
        logger.warning("No trial is complete, so none wins.")
        return EXIT_FAILURE, None
    front, winner = pareto_front(candidates), choose(candidates, options)
    record(directory, entries, candidates, front, winner, options)
    if winner.tasks:
        logger.warning("\n%s", front_table(candidates, front, winner))
    logger.warning("The winner is trial %d: %s (%s)", winner.number, title(winner.values), reason_of(options))
    if not options.retrain and len(winner.runs) == 1:
        logger.warning("Its test split was not looked at yet: mtl-eval checkpoint=%s", winner.runs[0])
    elif not options.retrain:
        logger.warning("The same command with search.retrain=true trains it on all folds, and tests it.")
    return (EXIT_FAILURE if "failed" in states else EXIT_DONE), winner


def rows_of(directory: Path, entry: Entry, space: Space) -> list[SweepRow]:
    """Return the rows of a trial's runs."""
    if not entry.runs:
        values = {key.lstrip("+"): value for key, value in space.values(entry.point).items()}
        return [SweepRow(values, directory / f"trial {entry.number}", entry.state, entry.reason)]
    rows = []
    for name, swept in entry.runs.items():
        found = row(directory / name, swept)
        lost = entry.state == "failed" and (found.status != "completed" or math.isnan(found.score))
        rows.append(dataclasses.replace(found, status="failed", reason=entry.reason) if lost else found)
    return rows


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


def reason_of(options: SearchOptions) -> str:
    """Return in words by what the winner is chosen."""
    if options.choose == WORST_TASK:
        return "the gain of its worst task is the highest"
    if options.choose == PREFERENCE:
        return f"its gains weighted by {options.preference} are the highest"
    return "its selection score on validation data is the best"


def front_table(candidates: Sequence[Candidate], front: Sequence[int], winner: Candidate) -> str:
    """Return the trials on the front, and the winner, with the metrics of their tasks."""
    shown = [each for each in candidates if each.number in front or each is winner]
    names, keys = list(winner.tasks), [key.lstrip("+") for key in winner.values]
    lines = [["Pareto front", *keys, *[f"val {name}/{winner.tasks[name].metric}" for name in names]]]
    for each in sorted(shown, key=lambda each: [-task.score for task in each.tasks.values()]):
        mark = f"trial {each.number}{' *' if each is winner else ''}"
        lines.append([mark, *each.values.values(), *[number(each.tasks[name].value) for name in names]])
    return table(lines) + "\n* the winner"


def record(
    directory: Path,
    entries: Sequence[Entry],
    candidates: Sequence[Candidate],
    front: Sequence[int],
    winner: Candidate,
    options: SearchOptions,
) -> None:
    """Write search.json, pareto.csv and pareto.png."""
    write_text(directory / "pareto.csv", to_csv(candidates, front, winner))
    runs = [run.name for run in winner.runs]
    values = {key.lstrip("+"): value for key, value in winner.values.items()}
    gains = {name: task.gain for name, task in winner.tasks.items()}
    write_json(
        directory / FILE,
        {
            "search": options.kind,
            "choose": options.choose,
            "trials": [{"number": each.number, "state": each.state, "score": each.score} for each in entries],
            "pareto_front": list(front),
            "winner": {
                "number": winner.number, "overrides": values, "score": winner.score, "gains": gains, "runs": runs
            },
        },
    )  # fmt: skip
    if len(winner.tasks) > 1:
        draw(directory / "pareto.png", candidates, front, winner)


def to_csv(candidates: Sequence[Candidate], front: Sequence[int], winner: Candidate) -> str:
    """Return one line per complete trial: its values, the tasks' metrics and gains, and whether it is on the front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tasks = [f"{name}/{score.metric}" for name, score in winner.tasks.items()]
    keys = [key.lstrip("+") for key in winner.values]
    head = [*[f"val/{name}" for name in tasks], *[f"gain/{name}" for name in winner.tasks]]
    writer.writerow(["trial", *keys, "score", *head, "front", "winner"])
    for each in candidates:
        scores = [*[task.value for task in each.tasks.values()], *[task.gain for task in each.tasks.values()]]
        numbers = ["" if math.isnan(score) else score for score in scores]
        marks = [str(each.number in front).lower(), str(each is winner).lower()]
        writer.writerow([each.number, *each.values.values(), each.score, *numbers, *marks])
    return out.getvalue()


def draw(path: Path, candidates: Sequence[Candidate], front: Sequence[int], winner: Candidate) -> None:
    """Draw the front into a file."""
    from mtl_cli.report.drawing import write
    from mtl_cli.report.pareto import pareto_figure

    labels = {name: f"{name}, validation {task.metric}" for name, task in winner.tasks.items()}
    points = {each.number: [task.value for task in each.tasks.values()] for each in candidates if each.tasks}
    write(pareto_figure(labels, points, front, winner.number), path)
